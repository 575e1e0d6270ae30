// SPDX-License-Identifier: MIT
#pragma once
// What happens to accumulators before they are stored, one step at a time: sums, products, bounds, roundings. A stage
// is a callable (lanes, lane_position) -> lanes with check(m, n), which refuses parameters that do not match Y. It may
// have for_channels(lane_position), which gives a stage for these sixteen channels; that is called once for a block of
// rows, so what it loads is loaded once. A stage that says `takes_rows` also serves sixteen rows of one channel, and
// asks the position for what belongs to its lanes: so sums reach a Y by columns without a transpose.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/rounding.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/vec_s64.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Where sixteen lanes sit in Y, and what is known of their channels. Lanes are channels of one row,
/// or rows of one channel.
struct lane_position {
  std::size_t row = 0;                         // of Y
  std::size_t channel = 0;                     // of lane 0, as is the row
  std::size_t count = 0;                       // lanes in use, the others are never stored
  const std::int32_t* weight_sums = nullptr;   // of all channels; integers only
  bool lanes_are_rows = false;                 // for stages that take rows only

  /// The values of the lanes' channels, of one value for each channel.
  template <class T>
  SPARQ_INLINE vec<T> of_channels(const T* values) const {
    return lanes_are_rows ? vec<T>(values[channel]) : vec<T>::load(values + channel, count);
  }
  /// The values of the lanes' rows, of one value for each row.
  template <class T>
  SPARQ_INLINE vec<T> of_rows(const T* values) const {
    return lanes_are_rows ? vec<T>::load(values + row, count) : vec<T>(values[row]);
  }
};

using s32_lanes = vec<std::int32_t>;
using s64_lanes = vec<std::int64_t>;
using f32_lanes = vec<float>;

namespace machine {

/// A stage that has one value for each output channel checks their number.
template <class T>
status check_channels(const char* stage, std::span<const T> values, std::size_t n) {
  if (values.size() == n) return {};
  return status::failure(std::string(stage) + ": " + std::to_string(values.size()) + " values for " +
                         std::to_string(n) + " output channels");
}

/// A stage that has one value for each row of Y checks their number.
template <class T>
status check_rows(const char* stage, std::span<const T> values, std::size_t m) {
  if (values.size() == m) return {};
  return status::failure(std::string(stage) + ": " + std::to_string(values.size()) + " values for " +
                         std::to_string(m) + " rows");
}

/// A stage that has one value for each element of Y checks their matrix.
template <class T>
status check_elements(const char* stage, const matrix_view<T>& values, std::size_t m, std::size_t n) {
  const std::string name = std::string(stage) + ": the matrix";
  if (values.rows == m && values.columns == n) return sparq::detail::check_stride(name.c_str(), values);
  return status::failure(name + " is " + extent_text(values) + ", Y is " + std::to_string(m) + " x " +
                         std::to_string(n));
}

/// Whether a stage serves lanes that are rows of one channel.
template <class Stage>
inline constexpr bool takes_rows_v = [] {
  if constexpr (requires { Stage::takes_rows; })
    return Stage::takes_rows;
  else
    return false;
}();

/// Stages that have no parameters to check, or one for all of Y.
struct unchecked_stage {
  static constexpr bool takes_rows = true;
  static status check(std::size_t, std::size_t) { return {}; }
};

/// v + lanes, v * lanes; integers become floats before they meet floats.
template <class T>
struct plus_lanes {
  vec<T> lanes;
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const { return v + lanes; }
  SPARQ_INLINE vec<T> operator()(const s32_lanes& v, const lane_position&) const
    requires std::is_same_v<T, float>
  {
    return to_f32(v) + lanes;
  }
};
/// v - zero_point * sums.
struct zero_point_lanes {
  s32_lanes sums;
  s32_lanes product;
  std::int32_t zero_point;
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position&) const { return v - product; }
  SPARQ_INLINE s64_lanes operator()(const s64_lanes& v, const lane_position&) const {
    return v - s64_lanes(zero_point) * to_s64(sums);
  }
};
struct times_lanes {
  f32_lanes lanes;
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position&) const {
    return rounded_product(v, lanes);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return (*this)(to_f32(v), at);
  }
};

}  // namespace machine

// ---- sums and products ----------------------------------------------------------------------------------------------

/// Adds values[channel], int32 or float. A float makes floats of integers.
template <class T>
struct bias {
  static constexpr bool takes_rows = true;
  std::span<const T> values;

  explicit bias(std::span<const T> per_channel) : values(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("bias", values, n); }
  SPARQ_INLINE machine::plus_lanes<T> for_channels(const lane_position& at) const {
    return {at.of_channels(values.data())};
  }
};
template <class Range>
bias(const Range&) -> bias<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

/// Adds values[row], int32 or float. A float makes floats of integers.
template <class T>
struct bias_per_row {
  static constexpr bool takes_rows = true;
  std::span<const T> values;

  explicit bias_per_row(std::span<const T> per_row) : values(per_row) {}
  status check(std::size_t m, std::size_t) const { return machine::check_rows("bias_per_row", values, m); }
  template <class Lanes>
  SPARQ_INLINE vec<T> operator()(const Lanes& v, const lane_position& at) const {
    return machine::plus_lanes<T>{at.of_rows(values.data())}(v, at);
  }
};
template <class Range>
bias_per_row(const Range&) -> bias_per_row<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

/// Takes back the zero point of X: subtracts zero_point * (sum of the channel's weight codes).
struct subtract_zero_point : machine::unchecked_stage {
  std::int32_t zero_point;

  explicit subtract_zero_point(std::int32_t x_zero_point) : zero_point(x_zero_point) {}
  SPARQ_INLINE machine::zero_point_lanes for_channels(const lane_position& at) const {
    const s32_lanes sums = at.of_channels(at.weight_sums);
    return {sums, s32_lanes(zero_point) * sums, zero_point};
  }
};

/// The same where every row of X has a zero point of its own: zero_points[row] * (sum of the channel's weight codes).
/// Not for weights with scales along k, whose sums are scaled in the loop.
struct subtract_zero_point_per_row {
  static constexpr bool takes_rows = true;
  std::span<const std::int32_t> zero_points;

  struct bound_sums {
    s32_lanes sums;
    const std::int32_t* zero_points;
    SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
      return v - at.of_rows(zero_points) * sums;
    }
  };
  explicit subtract_zero_point_per_row(std::span<const std::int32_t> per_row) : zero_points(per_row) {}
  status check(std::size_t m, std::size_t) const {
    return machine::check_rows("subtract_zero_point_per_row", zero_points, m);
  }
  SPARQ_INLINE bound_sums for_channels(const lane_position& at) const {
    return {at.of_channels(at.weight_sums), zero_points.data()};
  }
};

namespace machine {
/// Stages that take back the zero point of X and need integer sums and the sums of the weights for it.
template <class Stage>
inline constexpr bool takes_zero_point_of_x_v =
    std::is_same_v<Stage, subtract_zero_point> || std::is_same_v<Stage, subtract_zero_point_per_row>;
}  // namespace machine

/// Multiplies by one number; integers become floats first. Products are rounded before anything is added to them.
struct scale : machine::unchecked_stage {
  float factor;

  explicit scale(float by) : factor(by) {}
  SPARQ_INLINE machine::times_lanes for_channels(const lane_position&) const { return {f32_lanes(factor)}; }
};

/// Multiplies by factors[channel]; integers become floats first.
struct scale_per_channel {
  static constexpr bool takes_rows = true;
  std::span<const float> factors;

  explicit scale_per_channel(std::span<const float> per_channel) : factors(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("scale_per_channel", factors, n); }
  SPARQ_INLINE machine::times_lanes for_channels(const lane_position& at) const {
    return {at.of_channels(factors.data())};
  }
};

/// Multiplies by factors[row], for activations quantized row by row; integers become floats first.
struct scale_per_row {
  static constexpr bool takes_rows = true;
  std::span<const float> factors;

  explicit scale_per_row(std::span<const float> per_row) : factors(per_row) {}
  status check(std::size_t m, std::size_t) const { return machine::check_rows("scale_per_row", factors, m); }
  template <class Lanes>
  SPARQ_INLINE f32_lanes operator()(const Lanes& v, const lane_position& at) const {
    return machine::times_lanes{at.of_rows(factors.data())}(v, at);
  }
};

/// Adds another m x n matrix, a residual for example. It may be Y itself.
template <class T>
struct add {
  matrix_view<const T> other;

  explicit add(matrix_view<const T> matrix) : other(matrix) {}
  status check(std::size_t m, std::size_t n) const { return machine::check_elements("add", other, m, n); }
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position& at) const {
    return v + vec<T>::load(other.row(at.row) + at.channel, at.count);
  }
};
template <class T>
add(matrix_view<T>) -> add<std::remove_const_t<T>>;

// ---- bounds ---------------------------------------------------------------------------------------------------------

/// max(v, 0); NaN stays NaN.
struct relu : machine::unchecked_stage {
  template <class T>
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const { return max(vec<T>(T{}), v); }
};

/// min(max(v, low), high); NaN stays NaN. Bounds in the wrong order, or NaN, are refused.
template <class T>
struct clamp {
  static constexpr bool takes_rows = true;
  T low;
  T high;

  clamp(T lowest, T highest) : low(lowest), high(highest) {}
  status check(std::size_t, std::size_t) const {
    if (low <= high) return {};
    return status::failure("clamp: [" + number_text(low) + ", " + number_text(high) + "] is empty");
  }
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const {
    return min(vec<T>(high), max(vec<T>(low), v));
  }
};

/// The nearest code of N, integers and floats alike; the type of the lanes stays, and NaN NaN.
template <integer_numeric N>
struct saturate : machine::unchecked_stage {
  static_assert(N::bits <= 16, "sparq: int32 lanes are saturated as they are; saturate to a type of 16 bits or fewer");
  template <class T>
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const {
    return min(vec<T>(static_cast<T>(N::max_code)), max(vec<T>(static_cast<T>(N::min_code)), v));
  }
};

// ---- between integers and floats ------------------------------------------------------------------------------------

/// The nearest float, ties to even.
struct to_float : machine::unchecked_stage {
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position&) const { return to_f32(v); }
  SPARQ_INLINE f32_lanes operator()(const s64_lanes& v, const lane_position&) const { return to_f32(v); }
};

/// From the int64 sums of 16-bit activations to int32, saturated.
struct saturate_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const s64_lanes& v, const lane_position&) const { return saturate_to_s32(v); }
};

/// The nearest int32, ties to even, saturated to [-2^31, 2^31 - 128]: floats above that are not int32. NaN becomes
/// 2^31 - 128.
struct round_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const f32_lanes& v, const lane_position&) const { return round_to_s32(v); }
};

/// An int32, rounded as Mode says (numeric/rounding.hpp: rounding::nearest_away, down, up, toward_zero),
/// saturated as above.
template <class Mode>
struct round_with : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const f32_lanes& v, const lane_position&) const { return round_to_s32<Mode>(v); }
};

/// The low byte, with its sign where Byte has one: packing without saturation.
template <class Byte>
struct low_byte : machine::unchecked_stage {
  static_assert(sizeof(Byte) == 1, "sparq: a low byte is one byte; use std::int8_t or std::uint8_t");
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position&) const {
    if constexpr (std::is_signed_v<Byte>)
      return (v << s32_lanes(24)) >> s32_lanes(24);
    else
      return v & s32_lanes(255);
  }
};

SPARQ_ABI_END
}  // namespace sparq
