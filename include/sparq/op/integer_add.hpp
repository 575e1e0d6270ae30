// SPDX-License-Identifier: MIT
#pragma once
// Sums of tensors of codes with nothing but integers, as NEMO and PULP-NN have them. A span of codes carries its step,
// the real number that one code is worth; spans whose steps differ do not add up without factors that bring them
// together.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/nemo.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/rounding.hpp>
#include <sparq/simd/split_s64.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/vec_s64.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Codes and their step: code q means step * q.
template <class T>
struct stepped_span {
  using code = std::remove_const_t<T>;
  static_assert(std::is_same_v<code, std::int8_t> || std::is_same_v<code, std::uint8_t> ||
                    std::is_same_v<code, std::int16_t> || std::is_same_v<code, std::int32_t>,
                "sparq: codes are integers; use int8_t, uint8_t, int16_t or int32_t");
  std::span<T> codes;
  double step = 1;

  /// Reads only.
  operator stepped_span<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {codes, step};
  }
};

/// y = clamp((left * left_factor + right * right_factor) >> shift, low, high).
struct integer_add_parameters {
  std::int32_t left_factor = 1;
  std::int32_t right_factor = 1;
  int shift = 0;  ///< [0, 62]
  std::int32_t low = INT32_MIN;
  std::int32_t high = INT32_MAX;

  /// As NEMO's IntegerAdd: D = 2^ceil(log2(factor * out / least step)), each factor is round(D * step / out).
  /// Errors: a step that is not positive and finite, a `factor` outside of [1, 65536], a factor of a step beyond int32.
  static expected<integer_add_parameters> try_from(double left, double right, double out, double factor = 32) {
    for (const double step : {left, right, out})
      if (status s = detail::check_positive("integer_add", "step", step); !s.ok()) return s;
    if (!(factor >= 1 && factor <= 65536))
      return status::failure("integer_add: factor " + number_text(factor) + " is not in [1, 65536]");
    integer_add_parameters p;
    p.shift = nemo_log2_d(out / (left < right ? left : right), factor, 62);
    const double of_left = left / out * power_of_two(p.shift), of_right = right / out * power_of_two(p.shift);
    for (const double value : {of_left, of_right})
      if (!(value < 2147483647.0))
        return status::failure("integer_add: factor " + number_text(value) + " is beyond int32");
    p.left_factor = static_cast<std::int32_t>(round_half_even_in_range(of_left));
    p.right_factor = static_cast<std::int32_t>(round_half_even_in_range(of_right));
    return p;
  }
  /// Two addends never leave the range of y where its step is this: max(left, right) * 2.
  static double out_step(double left, double right) { return 2 * (left < right ? right : left); }
};

namespace machine {

template <class L, class R, class Y>
status check_integer_add(const stepped_span<const L>& left, const stepped_span<const R>& right,
                         const stepped_span<Y>& y) {
  if (left.codes.size() == y.codes.size() && right.codes.size() == y.codes.size()) return {};
  return status::failure("integer_add: " + std::to_string(left.codes.size()) + " and " +
                         std::to_string(right.codes.size()) + " codes, Y has " + std::to_string(y.codes.size()));
}

/// Sixteen codes at a time, in 32 bits where every product and sum fits.
template <bool IsWide, class L, class R, class Y>
void integer_add_codes(const L* left, const R* right, Y* y, std::size_t count, const integer_add_parameters& p) {
  using s32 = vec<std::int32_t>;
  const s32 a(p.left_factor), b(p.right_factor), shift(IsWide ? 0 : p.shift), low(p.low), high(p.high);
  const split_s64 wide_a(std::int64_t{p.left_factor}), wide_b(std::int64_t{p.right_factor}),
      wide_shift(std::int64_t{p.shift});
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t lanes = count - i < 16 ? count - i : 16;
    const s32 l = load_codes(left + i, lanes), r = load_codes(right + i, lanes);
    s32 sum;
    if constexpr (IsWide)
      sum = saturate_to_s32((multiply(l, wide_a) + multiply(r, wide_b)) >> wide_shift);
    else
      sum = (l * a + r * b) >> shift;
    const s32 codes = min(max(sum, low), high);
    if constexpr (sizeof(Y) == 1)
      store_saturated(y + i, codes, lanes);
    else if constexpr (sizeof(Y) == 2)
      store_saturated_s16(y + i, codes, lanes);
    else
      codes.store(y + i, lanes);
  }
}

}  // namespace machine

/// y = clamp((left * left_factor + right * right_factor) >> shift), exact: in 32 bits where the factors allow it, in 64
/// where they do not. Y may be one of the operands. `p` comes from integer_add_parameters::try_from and the steps.
/// Errors: spans of different lengths, a factor of -2^31 (two such products of int32 codes do not fit into 64 bits), a
/// shift out of range, low above high.
template <class L, class R, class Y>
status try_integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y,
                       const integer_add_parameters& p) {
  if (status s = machine::check_integer_add(left, right, y); !s.ok()) return s;
  if (status s = detail::check_scaled_sum("integer_add", p.left_factor, p.right_factor, p.shift, 62); !s.ok())
    return s;
  if (p.low > p.high)
    return status::failure("integer_add: clamps to [" + std::to_string(p.low) + ", " + std::to_string(p.high) + "]");
  if constexpr (sizeof(L) <= 2 && sizeof(R) <= 2) {
    const auto magnitude = [](std::int64_t factor) { return factor < 0 ? -factor : factor; };
    constexpr auto most = [](auto zero) { return std::int64_t{1} << (8 * sizeof(zero)); };
    const std::int64_t largest = magnitude(p.left_factor) * most(L{}) + magnitude(p.right_factor) * most(R{});
    if (largest < INT32_MAX && p.shift < 32) {
      machine::integer_add_codes<false>(left.codes.data(), right.codes.data(), y.codes.data(), y.codes.size(), p);
      return {};
    }
  }
  machine::integer_add_codes<true>(left.codes.data(), right.codes.data(), y.codes.data(), y.codes.size(), p);
  return {};
}

/// left + right as they are, saturated. Errors: steps that differ, spans of different lengths.
template <class L, class R, class Y>
status try_integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y) {
  if (left.step != right.step || left.step != y.step)
    return status::failure("integer_add: steps " + number_text(left.step) + ", " + number_text(right.step) + " and " +
                           number_text(y.step) + " differ; bring them together with integer_add_parameters::try_from");
  return try_integer_add<L, R, Y>(left, right, y, integer_add_parameters{});
}

/// Throwing twins.
template <class L, class R, class Y>
void integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y,
                 const integer_add_parameters& p) {
  try_integer_add<L, R, Y>(left, right, y, p).value();
}
template <class L, class R, class Y>
void integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y) {
  try_integer_add<L, R, Y>(left, right, y).value();
}

SPARQ_ABI_END
}  // namespace sparq
