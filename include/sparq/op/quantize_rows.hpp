// SPDX-License-Identifier: MIT
#pragma once
// Float activations become codes at run time, every row with a quantization of its own ("dynamic range"). The rules are
// those of numeric/dynamic_range.hpp and numeric/activation_quantization.hpp, on sixteen lanes:
//   s8   scale = max |x| / 127, code = round(x / scale)                                       symmetric, zero point 0
//   u8   scale and zero point as ONNX DynamicQuantizeLinear, code = round(x / scale) + zero point        asymmetric
// Rounding is to nearest, ties to even, and scales divide. The other rule for s8 is TFLite's, `tflite_dynamic`
// (numeric/dynamic_range.hpp): its codes differ where x / scale is a tie or nearly one.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/numeric/activation_quantization.hpp>
#include <sparq/numeric/dynamic_range.hpp>
#include <sparq/numeric/integer.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/tensor/matrix.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

/// Where the codes of m x k floats go; the caller's memory. Code is std::int8_t (symmetric) or std::uint8_t
/// (asymmetric).
template <class Code>
struct quantized_rows {
  static_assert(
      std::same_as<Code, std::int8_t> || std::same_as<Code, std::uint8_t>,
      "sparq: rows are quantized to bytes; use std::int8_t for symmetric codes, std::uint8_t for asymmetric ones");
  static constexpr bool is_symmetric = std::same_as<Code, std::int8_t>;

  matrix_view<Code> codes;                   // m x k
  std::span<float> scales;                   // m
  std::span<std::int32_t> zero_points = {};  // m; empty for symmetric codes
};

namespace machine {

/// Least and largest of a row and 0; `poison` is NaN where the row has a NaN or an infinite number, else 0.
struct row_range {
  float low = 0;
  float high = 0;
  float poison = 0;

  float largest() const { return (std::max)(-low, high); }
};

inline row_range range_of_row(const float* x, std::size_t k) noexcept {
  vec<float> low(0), high(0), poison(0);
  for (std::size_t i = 0; i < k; i += 16) {
    const vec<float> v = vec<float>::load(x + i, k - i);
    low = min(low, v);
    high = max(high, v);
    poison = poison + (v - v);
  }
  float lows[16], highs[16], poisons[16];
  low.store(lows);
  high.store(highs);
  poison.store(poisons);
  row_range range;
  for (std::size_t i = 0; i < 16; ++i) {
    range.low = (std::min)(range.low, lows[i]);
    range.high = (std::max)(range.high, highs[i]);
    range.poison += poisons[i];
  }
  return range;
}

/// The quantization of a row; its scale is infinite where there is none.
template <class Code, class Rule>
activation_quantization quantization_of_row(const row_range& range) {
  constexpr float none = std::numeric_limits<float>::infinity();
  if (!is_finite(range.poison)) return {none, 0};
  if constexpr (quantized_rows<Code>::is_symmetric) {
    return {Rule::scale(range.largest()), 0};
  } else {
    const auto chosen = try_choose_activation_quantization<u8>(range.low, range.high);
    return chosen ? *chosen : activation_quantization{none, 0};
  }
}

template <class Rule, class Code>
void quantize_row(const float* x, std::size_t k, activation_quantization q, float largest, Code* codes) noexcept {
  if constexpr (std::same_as<Rule, tflite_dynamic>) {
    const vec<float> factor(Rule::factor(largest));
    // The largest |x| times its factor may be 127 and a rounding error, never 127.5.
    const vec<std::int32_t> least(-127);
    for (std::size_t i = 0; i < k; i += 16) {
      const vec<float> scaled = rounded_product(vec<float>::load(x + i, k - i), factor);
      store_saturated(codes + i, max(round_to_s32<rounding::nearest_away>(scaled), least), k - i);
    }
  } else {
    const vec<float> scale(q.scale);
    const vec<std::int32_t> zero_point(q.zero_point);
    for (std::size_t i = 0; i < k; i += 16)
      store_saturated(codes + i, round_to_s32(vec<float>::load(x + i, k - i) / scale) + zero_point, k - i);
  }
}

/// Why a row has no quantization.
inline status refuse_row(const float* x, std::size_t k, std::size_t row) {
  for (std::size_t i = 0; i < k; ++i)
    if (!is_finite(x[i]))
      return status::failure("quantize_rows: X [m=" + std::to_string(row) + "][k=" + std::to_string(i) + "] is " +
                             number_text(x[i]));
  return status::failure("quantize_rows: the range of X [m=" + std::to_string(row) + "] overflows a float");
}

}  // namespace machine

/// Chooses a quantization for every row of `x` and writes scales, zero points and codes.
/// - `x`: m x k; `to`: as many codes, m scales and, for std::uint8_t, m zero points. A row without a number other than
///   0, and one without any, has scale 1 and zero point 0
/// - Rule: of symmetric codes, divide_to_even or tflite_dynamic (numeric/dynamic_range.hpp)
/// - `executor`: takes rows in parts; results do not depend on it
/// |x - scale (code - zero point)| is at most scale / 2 for s8 and scale for u8 (where the last code saturates), and
/// the rounding of a float.
/// Errors: extents that do not match, the first NaN or infinite number, for u8 the first row whose max - min overflows;
/// `to` is undefined then. Nothing is allocated but the text of an error. O(m k).
template <row_rule Rule = divide_to_even, class Code, executor Executor>
status try_quantize_rows(matrix_view<const float> x, const quantized_rows<Code>& to, Executor&& executor) {
  static_assert(quantized_rows<Code>::is_symmetric || std::same_as<Rule, divide_to_even>,
                "sparq: tflite_dynamic is a rule for symmetric codes; use std::int8_t, or divide_to_even");
  const std::size_t zero_points = quantized_rows<Code>::is_symmetric ? 0 : x.rows;
  if (to.codes.rows != x.rows || to.codes.columns != x.columns)
    return status::failure("quantize_rows: X is " + extent_text(x) + ", the codes are " + extent_text(to.codes));
  if (to.scales.size() != x.rows || to.zero_points.size() != zero_points)
    return status::failure("quantize_rows: " + std::to_string(to.scales.size()) + " scales and " +
                           std::to_string(to.zero_points.size()) + " zero points; " + std::to_string(x.rows) + " and " +
                           std::to_string(zero_points) + " are needed");
  if (status s = detail::check_stride("quantize_rows: X", x); !s.ok()) return s;
  if (status s = detail::check_stride("quantize_rows: the matrix of codes", to.codes); !s.ok()) return s;
  machine::for_each_range(executor, x.rows, [&](std::size_t first, std::size_t end) {
    for (std::size_t m = first; m < end; ++m) {
      const machine::row_range range = machine::range_of_row(x.row(m), x.columns);
      const activation_quantization q = machine::quantization_of_row<Code, Rule>(range);
      to.scales[m] = q.scale;
      if constexpr (!quantized_rows<Code>::is_symmetric) to.zero_points[m] = q.zero_point;
      if (is_finite(q.scale))
        machine::quantize_row<Rule>(x.row(m), x.columns, q, range.largest(), to.codes.row(m));
    }
  });
  for (std::size_t m = 0; m < x.rows; ++m)
    if (!is_finite(to.scales[m])) return machine::refuse_row(x.row(m), x.columns, m);
  return {};
}

/// Throwing twin of try_quantize_rows.
template <row_rule Rule = divide_to_even, class Code, executor Executor>
void quantize_rows(matrix_view<const float> x, const quantized_rows<Code>& to, Executor&& executor) {
  try_quantize_rows<Rule>(x, to, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq
