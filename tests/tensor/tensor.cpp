// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/tensor.hpp>

#include "tests/support/catch.hpp"

#include <limits>
#include <span>
#include <string>
#include <vector>

using namespace sparq;

namespace {
using csr_s8 = tensor<csr, s8, per_channel>;
csr::index<owned> two_by_three() { return {{2, 3}, {0, 1, 3}, {2, 0, 1}}; }
}  // namespace

static_assert(std::is_trivially_copyable_v<csr_s8::view_type>, "sparq: views are trivially copyable");

TEST_CASE("tensor: says its bytes and density") {
  const csr_s8 w(two_by_three(), aligned_buffer(3), {1.0F, 2.0F});
  CHECK(w.bytes() == 3 + 3 * 8 + 3 * 4 + 2 * 4);
  CHECK(w.density() == 0.5);
}

TEST_CASE("tensor: a view reads the arrays of others where they lie, and says what is out of order") {
  const std::uint64_t row_offsets[] = {0, 1, 3};
  index_t columns[] = {2, 0, 1};
  const float values[] = {5, -6, 7};
  const tensor_view<csr, f32> w{{{2, 3}, row_offsets, columns}, std::as_bytes(std::span(values)), {}};
  REQUIRE(w.validate().ok());
  CHECK(decode(w) == std::vector<float>{0, 0, 5, -6, 7, 0});
  columns[2] = 0;
  CHECK(w.validate().message().find("columns[2] is 0") != std::string::npos);
}

TEST_CASE("tensor: sizes beyond 64 bits of bits are no empty array") {
  const tensor_view<dense, f32> w{{{std::size_t{1} << 30, std::size_t{1} << 29}}, {}, {}};
  CHECK(w.validate().message() ==
        "dense: 0 bytes of values for 576460752303423488 slots; 2305843009213693952 are needed");
}

TEST_CASE("tensor: refuses values, scales and indices that do not match, and says where") {
  const auto message = [](csr::index<owned> index, std::size_t bytes, std::vector<float> scales) {
    const auto made = csr_s8::try_make(std::move(index), aligned_buffer(bytes), std::move(scales));
    return made.ok() ? std::string() : made.error().message();
  };
  CHECK(message(two_by_three(), 3, {1, 1}).empty());
  CHECK(message(two_by_three(), 2, {1, 1}).find("3 are needed") != std::string::npos);
  CHECK(message(two_by_three(), 3, {1}).find("1 scales") != std::string::npos);
  CHECK(message(two_by_three(), 3, {1, -1e-9F}).find("scales[1] is -9.99999972e-10;") != std::string::npos);
  CHECK(message(two_by_three(), 3, {std::numeric_limits<float>::quiet_NaN(), 1}).find("scales[0]") !=
        std::string::npos);
  CHECK(message({{2, 3}, {0, 1, 3}, {2, 0, 3}}, 3, {1, 1}).find("columns[2] is 3") != std::string::npos);
  CHECK_THROWS_AS(csr_s8(two_by_three(), aligned_buffer(9), {1, 1}), error);
}
