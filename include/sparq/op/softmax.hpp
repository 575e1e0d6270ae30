// SPDX-License-Identifier: MIT
#pragma once
// Softmax over the columns of a matrix: y[c] = exp(beta x[c]) / sum exp(beta x[i]). For floats as it stands, for bytes
// in the fixed-point arithmetic of TFLite and CMSIS-NN, bit by bit: every product is rounded to 32 bits where gemmlowp
// rounds it, so the result is the same on every machine.
//
// A fixed-point number with I integer bits is an int32 that counts steps of 2^(I - 31).

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/tensor/matrix.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// How TFLite writes beta * (scale of X): differences of codes become numbers with 5 integer bits.
struct softmax_parameters {
  std::int32_t input_multiplier = 0;  ///< [2^30, 2^31)
  std::int32_t input_left_shift = 0;  ///< [0, 31]
  std::int32_t diff_min = 0;          ///< 0 or less; a code that lies further below its row's largest counts as 0

  status validate() const {
    const auto wrong = [](const char* field, std::int32_t value, const char* needed) {
      return status::failure("softmax: " + std::string(field) + " " + std::to_string(value) + " is not " + needed);
    };
    if (input_multiplier < 1 << 30) return wrong("input_multiplier", input_multiplier, "in [2^30, 2^31)");
    if (input_left_shift < 0 || input_left_shift > 31) return wrong("input_left_shift", input_left_shift, "in [0, 31]");
    if (diff_min > 0) return wrong("diff_min", diff_min, "0 or less");
    return {};
  }

  /// TFLite's PreprocessSoftmaxScaling and CalculateInputRadius.
  /// Errors: beta * scale is not in [2^-26, infinity).
  static expected<softmax_parameters> try_from_scale(double scale, double beta = 1.0) {
    const double factor = beta * scale * (1 << 26);
    if (!(factor >= 1.0 && is_finite(factor)))
      return status::failure("softmax: beta * scale " + number_text(beta * scale) + " is not in [2^-26, infinity)");
    const double most = 2147483647.0;
    const fixed_point_multiplier m = quantize_multiplier(factor < most ? factor : most);
    const std::int64_t radius = (std::int64_t{31} << 26) >> m.shift;
    return softmax_parameters{m.multiplier, m.shift, -static_cast<std::int32_t>(radius)};
  }
  static softmax_parameters from_scale(double scale, double beta = 1.0) { return try_from_scale(scale, beta).value(); }

  friend constexpr bool operator==(const softmax_parameters&, const softmax_parameters&) = default;
};

namespace machine {

// ---- fixed point ----------------------------------------------------------------------------------------------------

/// a * b / 2^31, ties up: numbers with I and J integer bits give one with I + J.
constexpr std::int32_t fixed_product(std::int32_t a, std::int32_t b) {
  return saturate_to_int32((std::int64_t{a} * b + (std::int64_t{1} << 30)) >> 31);
}
/// a / 2^bits, ties away from zero. @pre 0 <= bits <= 62
constexpr std::int32_t fixed_shift_right(std::int32_t a, int bits) {
  const std::int64_t mask = (std::int64_t{1} << bits) - 1;
  const std::int64_t threshold = (mask >> 1) + (a < 0 ? 1 : 0);
  return static_cast<std::int32_t>((std::int64_t{a} >> bits) + ((a & mask) > threshold ? 1 : 0));
}
/// Drops integer bits.
constexpr std::int32_t fixed_shift_left(std::int32_t a, int bits) {
  return saturate_to_int32(std::int64_t{a} * (std::int64_t{1} << bits));
}

inline constexpr std::int32_t fixed_one = INT32_MAX;  // 0 integer bits: as near to 1 as there is

/// exp(a) for a in [-1/4, 0), 0 integer bits: exp(-1/8) times the Taylor polynomial of degree 4 around -1/8.
constexpr std::int32_t fixed_exp_near_zero(std::int32_t a) {
  constexpr std::int32_t exp_of_minus_eighth = 1895147668;  // exp(-1/8) * 2^31
  constexpr std::int32_t third = 715827883;                 // 1/3 * 2^31
  const std::int32_t x = a + (1 << 28);
  const std::int32_t x2 = fixed_product(x, x);
  const std::int32_t x3 = fixed_product(x2, x);
  const std::int32_t x4 = fixed_product(x2, x2);
  const std::int32_t cubic = fixed_product(fixed_shift_right(x4, 2) + x3, third);  // x^4/12 + x^3/3
  const std::int32_t tail = fixed_shift_right(cubic + x2, 1);                      // x^4/24 + x^3/6 + x^2/2
  return exp_of_minus_eighth + fixed_product(exp_of_minus_eighth, x + tail);
}

/// exp(a) with 0 integer bits, for a <= 0 with 5: a is cut into a part in [-1/4, 0) and some of -1/4, -1/2, ... -16.
constexpr std::int32_t fixed_exp(std::int32_t a) {
  constexpr std::array<std::int32_t, 7> exp_of_minus_power = {  // exp(-2^(i - 2)) * 2^31
      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  constexpr std::int32_t quarter = 1 << 24;
  if (a == 0) return fixed_one;
  const std::int32_t near = (a & (quarter - 1)) - quarter;
  const std::int32_t quarters = (near - a) >> 24;
  std::int32_t result = fixed_exp_near_zero(fixed_shift_left(near, 5));
  for (std::size_t i = 0; i < exp_of_minus_power.size(); ++i)
    if ((quarters >> i & 1) != 0) result = fixed_product(result, exp_of_minus_power[i]);
  return result;
}

/// 1 / (1 + a) for a in [0, 1), 0 integer bits: Newton's iteration for the reciprocal of h = (1 + a) / 2.
constexpr std::int32_t fixed_reciprocal_of_one_plus(std::int32_t a) {
  constexpr std::int32_t intercept = 1515870810;  // 48/17, 2 integer bits: the best line through 1/h on [1/2, 1]
  constexpr std::int32_t slope = -1010580540;     // -32/17
  const auto h = static_cast<std::int32_t>((std::int64_t{a} + fixed_one + 1) / 2);
  std::int32_t x = intercept + fixed_product(h, slope);  // 2 integer bits
  for (int i = 0; i < 3; ++i) {
    const std::int32_t rest = (1 << 29) - fixed_product(h, x);  // 1 - h x
    x += fixed_shift_left(fixed_product(x, rest), 2);
  }
  return fixed_shift_left(x, 1);  // x / 2, 2 integer bits -> 0
}

/// exp of a difference of codes, 0 integer bits.
constexpr std::int32_t softmax_exp(std::int32_t diff, const softmax_parameters& p) {
  return fixed_exp(tflite_double::apply(diff, {p.input_multiplier, p.input_left_shift}));
}

template <class X, class Y>
void softmax_row(const X* x, std::size_t columns, const softmax_parameters& p, Y* y) noexcept {
  constexpr int sum_integer_bits = 12;
  std::int32_t largest = std::numeric_limits<X>::lowest();
  for (std::size_t c = 0; c < columns; ++c) largest = x[c] > largest ? x[c] : largest;
  std::uint64_t sum = 0;  // the largest itself adds 1 = 2^19 steps, so it is never 0
  for (std::size_t c = 0; c < columns; ++c) {
    const std::int32_t diff = x[c] - largest;
    if (diff >= p.diff_min)
      sum += static_cast<std::uint64_t>(fixed_shift_right(softmax_exp(diff, p), sum_integer_bits));
  }
  // sum = (1 + rest) * 2^exponent
  const int width = static_cast<int>(std::bit_width(sum));
  const int exponent = width - (32 - sum_integer_bits);
  const std::uint64_t normal = width <= 32 ? sum << (32 - width) : sum >> (width - 32);
  const auto rest = static_cast<std::int32_t>(normal - (std::uint64_t{1} << 31));
  const std::int32_t reciprocal = fixed_reciprocal_of_one_plus(rest);

  constexpr std::int32_t lowest = std::numeric_limits<Y>::lowest();
  constexpr std::int32_t highest = (std::numeric_limits<Y>::max)();
  constexpr int output_bits = 8 * static_cast<int>(sizeof(Y));
  for (std::size_t c = 0; c < columns; ++c) {
    const std::int32_t diff = x[c] - largest;
    std::int32_t code = lowest;
    if (diff >= p.diff_min)
      code += fixed_shift_right(fixed_product(reciprocal, softmax_exp(diff, p)), exponent + 31 - output_bits);
    y[c] = static_cast<Y>(code < highest ? code : highest);
  }
}

inline void softmax_row(const float* x, std::size_t columns, float* y) noexcept {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t c = 0; c < columns; ++c) largest = x[c] > largest ? x[c] : largest;
  float sum = 0.0F;
  for (std::size_t c = 0; c < columns; ++c) {
    y[c] = std::exp(x[c] - largest);
    sum += y[c];
  }
  for (std::size_t c = 0; c < columns; ++c) y[c] /= sum;
}

template <class X, class Y>
status check_softmax(matrix_view<X> x, matrix_view<Y> y) {
  if (x.rows != y.rows || x.columns != y.columns)
    return status::failure("softmax: X is " + extent_text(x) + ", Y is " + extent_text(y));
  if (status s = sparq::detail::check_stride("softmax: X", x); !s.ok()) return s;
  return sparq::detail::check_stride("softmax: Y", y);
}

}  // namespace machine

/// y[r][c] = softmax of row r, as a code of scale 1 / 2^(bits of Y) and zero point lowest code: [-128, 127] means
/// [0, 255/256]. As TFLite's reference Softmax and arm_softmax_s8, arm_softmax_s8_s16.
/// - `x`: s8 or u8; `y`: s8, u8 or std::int16_t; Y may be X itself if their types are
/// Sums do not overflow, whereas TFLite's do from 4096 equal columns on.
/// Errors: extents that do not match, parameters out of range. Complexity O(rows x columns), two exponentials each.
template <class X, class Y>
status try_softmax(matrix_view<X> x, matrix_view<Y> y, const softmax_parameters& parameters) {
  static_assert(sizeof(X) == 1 && std::is_integral_v<X>,
                "sparq: fixed-point softmax takes std::int8_t or std::uint8_t; quantize X first");
  static_assert(std::is_integral_v<Y> && sizeof(Y) <= 2 && (std::is_signed_v<Y> || sizeof(Y) == 1),
                "sparq: fixed-point softmax gives std::int8_t, std::uint8_t or std::int16_t; choose one of them for Y");
  if (status s = machine::check_softmax(x, y); !s.ok()) return s;
  if (status s = parameters.validate(); !s.ok()) return s;
  if (x.columns == 0) return {};
  for (std::size_t r = 0; r < x.rows; ++r) machine::softmax_row(x.row(r), x.columns, parameters, y.row(r));
  return {};
}

/// y[r][c] = exp(x[r][c]) / sum of exp(x[r][i]); the row's largest value is subtracted first. Y may be X itself.
/// Errors: extents that do not match. @pre no NaN, no +infinity, and not all of a row is -infinity
template <class X>
status try_softmax(matrix_view<X> x, matrix_view<float> y) {
  static_assert(std::is_same_v<std::remove_const_t<X>, float>, "sparq: codes need softmax_parameters; pass them too");
  if (status s = machine::check_softmax(x, y); !s.ok()) return s;
  for (std::size_t r = 0; r < x.rows; ++r) machine::softmax_row(x.row(r), x.columns, y.row(r));
  return {};
}

/// Throwing twins.
template <class X, class Y>
void softmax(matrix_view<X> x, matrix_view<Y> y, const softmax_parameters& parameters) {
  try_softmax(x, y, parameters).value();
}
template <class X>
void softmax(matrix_view<X> x, matrix_view<float> y) {
  try_softmax(x, y).value();
}

SPARQ_ABI_END
}  // namespace sparq
