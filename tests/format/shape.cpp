// SPDX-License-Identifier: MIT
#include <sparq/format/shape.hpp>

#include "../support/catch.hpp"

#include <limits>

using sparq::weight_shape;

TEST_CASE("shape: messages name extents and elements") {
  CHECK(sparq::to_string(weight_shape{3, 17}) == "3 x 17");
  CHECK(sparq::position_text(3, 17) == "[n=3][k=17]");
}

TEST_CASE("shape: two shapes are equal when both extents are") {
  CHECK(weight_shape{2, 3} == weight_shape{2, 3});
  CHECK_FALSE(weight_shape{2, 3} == weight_shape{3, 2});
  CHECK(weight_shape{2, 3}.size() == 6);
  CHECK(weight_shape{}.size() == 0);
}

TEST_CASE("shape: extents that index_t holds are valid, empty ones included") {
  constexpr std::size_t most = std::numeric_limits<sparq::index_t>::max();
  for (const weight_shape shape : {weight_shape{0, 0}, weight_shape{0, 5}, weight_shape{5, 0}, weight_shape{1, 1},
                                   weight_shape{most, 1}, weight_shape{1, most}, weight_shape{most, 0}})
    CHECK(sparq::validate(shape).ok());
}

TEST_CASE("shape: an extent that index_t cannot hold is refused") {
  constexpr std::size_t most = std::numeric_limits<sparq::index_t>::max();
  CHECK(sparq::validate({most + 1, 0}).message() == "a matrix of 4294967296 x 0 has an extent above 4294967295");
  CHECK(sparq::validate({1, most + 1}).message() == "a matrix of 1 x 4294967296 has an extent above 4294967295");
}

TEST_CASE("shape: more elements than memory has bytes are refused") {
  CHECK(sparq::validate({4000000000, 4000000000}).message() ==
        "a matrix of 4000000000 x 4000000000 has more elements than memory has bytes");
}
