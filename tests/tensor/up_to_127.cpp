// SPDX-License-Identifier: MIT
#include <sparq/tensor/up_to_127.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("up_to_127: a view of the same memory") {
  std::uint8_t bytes[] = {0, 127, 255, 1, 64, 255};
  const auto x = up_to_127(matrix_view<const std::uint8_t>(bytes, 2, 2, 3));  // what lies between rows does not count
  CHECK((x.rows == 2 && x.columns == 2 && x.stride == 3));
  CHECK(static_cast<const void*>(x.data) == bytes);
  const auto image = up_to_127(image_view<const std::uint8_t>(bytes, 1, 1, 1, 2));
  CHECK((image.images == 1 && image.image_height == 1 && image.image_width == 1 && image.channels == 2));
  CHECK(up_to_127(matrix_view<const std::uint8_t>(nullptr, 0, 5)).rows == 0);
}

TEST_CASE("up_to_127: the first greater byte is named") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int time = 0; time < 50; ++time) {
    const std::size_t rows = 1 + random.below(5), columns = 1 + random.below(70);
    std::vector<std::uint8_t> bytes(rows * columns, 127);
    const std::size_t at = random.below(bytes.size());
    bytes[at] = static_cast<std::uint8_t>(128 + random.below(128));
    bytes.back() = 128;
    const auto checked = try_up_to_127(matrix_view<const std::uint8_t>(bytes.data(), rows, columns));
    REQUIRE_FALSE(checked);
    CHECK(checked.error().message() == "up_to_127: X[" + std::to_string(at / columns) + "][" +
                                           std::to_string(at % columns) + "] is " + std::to_string(bytes[at]));
    CHECK_THROWS_AS(up_to_127(image_view<const std::uint8_t>(bytes.data(), 1, rows, 1, columns)), error);
  }
}
