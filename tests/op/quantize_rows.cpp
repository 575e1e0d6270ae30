// SPDX-License-Identifier: MIT
#include <sparq/op/quantize_rows.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace sparq;

namespace {

/// The rules of numeric/dynamic_range.hpp, one number at a time.
template <class Code>
activation_quantization quantization_of(std::span<const float> row) {
  if constexpr (std::is_signed_v<Code>) {
    std::array<float, 1> scale{};
    REQUIRE(choose_scales<s8, per_channel>(row, 1, row.size(), scale).ok());
    return {scale[0], 0};
  } else {
    float low = 0, high = 0;
    for (const float v : row) low = (std::min)(low, v), high = (std::max)(high, v);
    return choose_activation_quantization<u8>(low, high);
  }
}

/// The rule of TFLite, one number at a time.
void check_tflite_rows(matrix_view<const float> x, std::size_t parts, sparq_test::random_source& random) {
  sparq_test::guarded_output<std::int8_t> codes(x.rows, x.columns, random);
  std::vector<float> scales(x.rows, -1);
  quantize_rows<tflite_dynamic>(x, quantized_rows<std::int8_t>{codes.view(), scales}, sparq_test::backwards{parts});
  CHECK(codes.surroundings_intact());
  for (std::size_t m = 0; m < x.rows; ++m) {
    float largest = 0;
    for (std::size_t k = 0; k < x.columns; ++k) largest = (std::max)(largest, std::abs(x(m, k)));
    REQUIRE(scales[m] == tflite_dynamic::scale(largest));
    for (std::size_t k = 0; k < x.columns; ++k) {
      INFO("m " << m << ", k " << k << ": " << x(m, k) << ", largest " << largest);
      REQUIRE(codes.view()(m, k) == tflite_dynamic::code(x(m, k), largest));
    }
  }
}

template <class Code>
void check_rows(matrix_view<const float> x, std::size_t parts, sparq_test::random_source& random) {
  sparq_test::guarded_output<Code> codes(x.rows, x.columns, random);
  std::vector<float> scales(x.rows, -1);
  std::vector<std::int32_t> zero_points(std::is_signed_v<Code> ? 0 : x.rows, -1);
  quantize_rows(x, quantized_rows<Code>{codes.view(), scales, zero_points}, sparq_test::backwards{parts});
  CHECK(codes.surroundings_intact());
  for (std::size_t m = 0; m < x.rows; ++m) {
    const auto q = quantization_of<Code>({x.row(m), x.columns});
    REQUIRE(scales[m] == q.scale);
    if (!std::is_signed_v<Code>) REQUIRE(zero_points[m] == q.zero_point);
    for (std::size_t k = 0; k < x.columns; ++k) {
      INFO("m " << m << ", k " << k << ": " << x(m, k));
      const Code code = codes.view()(m, k);
      if constexpr (std::is_signed_v<Code>)
        REQUIRE(code == quantize_code<s8>(x(m, k), q.scale));
      else
        REQUIRE(code == quantize_activation<u8>(x(m, k), q));
      const double back = double{q.scale} * (code - q.zero_point);
      REQUIRE(std::abs(back - double{x(m, k)}) <= double{q.scale} * (std::is_signed_v<Code> ? 0.5001 : 1.0001));
    }
  }
}

}  // namespace

TEST_CASE("quantize_rows: rows of any length and magnitude, one number at a time") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t k = 0; k <= 70; ++k)
    for (const std::size_t m : {0U, 1U, 2U, 7U}) {
      const std::size_t stride = k + random.below(5);
      std::vector<float> x(m * stride + 1);
      for (std::size_t row = 0; row < m; ++row) {
        const float size = std::ldexp(1.0F, random.between(-140, 120));
        const std::size_t kind = random.below(6);
        for (std::size_t i = row * stride; i < (row + 1) * stride; ++i)
          x[i] = kind == 0   ? 0.0F * random.real(-1, 1)                       // zeros of both signs
                 : kind == 1 ? random.real(0.5F, 1) * size                     // far from 0
                 : kind == 2 ? -random.real(0, 1) * size
                 : kind == 3 ? static_cast<float>(random.between(-254, 254))   // ties where the largest is 254
                             : random.real(-1, 1) * size;
        if (kind == 3 && k > 0) x[row * stride + random.below(k)] = 254;
      }
      const matrix_view<const float> view(x.data(), m, k, stride);
      check_rows<std::int8_t>(view, 1 + random.below(9), random);
      check_rows<std::uint8_t>(view, 1 + random.below(9), random);
      check_tflite_rows(view, 1 + random.below(9), random);
    }
}

TEST_CASE("quantize_rows: ties go to even, zeros have scale 1, the largest float is no exception") {
  const std::vector<float> x = {-127, 0.5F, 1.5F, -0.5F, -2.5F, 0, 0, -0.0F, 0, 0, FLT_MAX, -FLT_MAX, 0, FLT_MIN, 1};
  std::vector<std::int8_t> codes(15);
  std::vector<float> scales(3);
  quantize_rows({x.data(), 3, 5}, quantized_rows<std::int8_t>{{codes.data(), 3, 5}, scales}, serial);
  CHECK(codes == std::vector<std::int8_t>{-127, 0, 2, 0, -2, 0, 0, 0, 0, 0, 127, -127, 0, 0, 0});
  CHECK(scales == std::vector<float>{1, 1, FLT_MAX / 127});
}

TEST_CASE("quantize_rows: the first number that is not finite is named") {
  sparq_test::random_source random;
  INFO(random.text());
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const auto& [bad, text] : {std::pair{std::nanf(""), "nan"}, {infinity, "inf"}, {-infinity, "-inf"}})
    for (std::size_t k = 1; k < 40; ++k) {
      const std::size_t m = 1 + random.below(6), row = random.below(m), at = random.below(k);
      std::vector<float> x(m * k, 1);
      x[row * k + at] = bad;
      x[m * k - 1] = row * k + at == m * k - 1 ? bad : random.chance(0.5) ? infinity : 2.0F;
      std::vector<std::int8_t> codes(m * k);
      std::vector<std::uint8_t> unsigned_codes(m * k);
      std::vector<float> scales(m);
      std::vector<std::int32_t> zero_points(m);
      const std::string want = "quantize_rows: X [m=" + std::to_string(row) + "][k=" + std::to_string(at) + "] is ";
      const sparq_test::backwards executor{1 + random.below(4)};
      const matrix_view<const float> view(x.data(), m, k);
      const quantized_rows<std::int8_t> to{{codes.data(), m, k}, scales};
      const quantized_rows<std::uint8_t> to_unsigned{{unsigned_codes.data(), m, k}, scales, zero_points};
      CHECK(try_quantize_rows(view, to, executor).message() == want + text);
      CHECK(try_quantize_rows(view, to_unsigned, executor).message() == want + text);
    }
}

TEST_CASE("quantize_rows: ranges that overflow and extents that do not match are refused") {
  const std::vector<float> x = {1, 2, FLT_MAX, -FLT_MAX};
  std::vector<std::uint8_t> codes(4);
  std::vector<float> scales(2);
  std::vector<std::int32_t> zero_points(2);
  const matrix_view<const float> view(x.data(), 2, 2);
  const auto message = [&](matrix_view<std::uint8_t> to, std::size_t rows) {
    return try_quantize_rows(
               view,
               quantized_rows<std::uint8_t>{to, std::span(scales).first(rows), std::span(zero_points).first(rows)},
               serial)
        .message();
  };
  CHECK(message({codes.data(), 2, 2}, 2) == "quantize_rows: the range of X [m=1] overflows a float");
  CHECK(message({codes.data(), 2, 1}, 2) == "quantize_rows: X is 2 x 2, the codes are 2 x 1");
  CHECK(message({codes.data(), 2, 2}, 1) == "quantize_rows: 1 scales and 1 zero points; 2 and 2 are needed");
  CHECK(message({codes.data(), 2, 2, 1}, 2) ==
        "quantize_rows: the matrix of codes has a stride of 1; at least 2 are needed");
  CHECK_THROWS(quantize_rows(view, quantized_rows<std::uint8_t>{{codes.data(), 2, 2}, scales, zero_points}, serial));
}
