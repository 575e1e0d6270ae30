// SPDX-License-Identifier: MIT
#pragma once
// Stages for weights whose code 0 is no real zero: they need the sum of each row of X (op/row_sums.hpp), because what a
// code is off by is multiplied by every x.
//
//   w = scale (code - zero_point)    sum x w = scale (sum x code - zero_point * sum x)
//   w = scale code + offset          sum x w = scale sum x code + offset * sum x

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>
#include <sparq/kernel/epilogue/stage.hpp>
#include <sparq/simd/vec.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// One value for all channels, or one for each.
template <class T>
struct channel_values {
  T one = {};
  std::span<const T> each = {};
  bool is_per_channel = false;

  status check(const char* stage, std::size_t n) const {
    return is_per_channel ? check_channels(stage, each, n) : status();
  }
  SPARQ_INLINE vec<T> load(const lane_position& at) const {
    return is_per_channel ? at.of_channels(each.data()) : vec<T>(one);
  }
};

/// v - row_sums[row] * zero_points.
struct weight_zero_point_lanes {
  const std::int32_t* row_sums;
  s32_lanes zero_points;
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return v - at.of_rows(row_sums) * zero_points;
  }
};
/// v + row_sums[row] * offsets, the product rounded by itself.
template <class T>
struct weight_offset_lanes {
  const T* row_sums;
  f32_lanes offsets;
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
    if constexpr (std::is_same_v<T, float>)
      return v + rounded_product(at.of_rows(row_sums), offsets);
    else
      return v + rounded_product(to_f32(at.of_rows(row_sums)), offsets);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return (*this)(to_f32(v), at);
  }
};

}  // namespace machine

/// Takes back the zero point of W, one for all channels or one for each: v - zero_point * row_sums[row], int32.
/// `row_sums`: of the rows of X, less the zero point of X if it has one (op/row_sums.hpp); then
/// sum (x - x_zero)(w - w_zero) = acc - x_zero * (weight sum) - w_zero * sum (x - x_zero)
/// is subtract_zero_point(x_zero) and this stage, in either order, and no constant term is left.
struct subtract_weight_zero_point {
  static constexpr bool takes_rows = true;
  std::span<const std::int32_t> row_sums;
  machine::channel_values<std::int32_t> zero_points;

  subtract_weight_zero_point(std::span<const std::int32_t> sums, std::int32_t zero_point)
      : row_sums(sums), zero_points{zero_point, {}, false} {}
  subtract_weight_zero_point(std::span<const std::int32_t> sums, std::span<const std::int32_t> per_channel)
      : row_sums(sums), zero_points{0, per_channel, true} {}
  status check(std::size_t m, std::size_t n) const {
    if (status s = machine::check_rows("subtract_weight_zero_point", row_sums, m); !s.ok()) return s;
    return zero_points.check("subtract_weight_zero_point", n);
  }
  SPARQ_INLINE machine::weight_zero_point_lanes for_channels(const lane_position& at) const {
    return {row_sums.data(), zero_points.load(at)};
  }
};

/// Adds the real number that a weight of code 0 stands for, one for all channels or one for each: v + offset *
/// row_sums[row], float. Scales of W come before it, the scale of X behind it.
/// `row_sums`: of the rows of X, int32 of codes less the zero point of X, or float of floats (op/row_sums.hpp)
template <class T>
struct add_weight_offset {
  static_assert(std::is_same_v<T, std::int32_t> || std::is_same_v<T, float>,
                "sparq: row sums are std::int32_t or float; use row_sums");
  static constexpr bool takes_rows = true;
  std::span<const T> row_sums;
  machine::channel_values<float> offsets;

  add_weight_offset(std::span<const T> sums, float offset) : row_sums(sums), offsets{offset, {}, false} {}
  add_weight_offset(std::span<const T> sums, std::span<const float> per_channel)
      : row_sums(sums), offsets{0, per_channel, true} {}
  status check(std::size_t m, std::size_t n) const {
    if (status s = machine::check_rows("add_weight_offset", row_sums, m); !s.ok()) return s;
    return offsets.check("add_weight_offset", n);
  }
  SPARQ_INLINE machine::weight_offset_lanes<T> for_channels(const lane_position& at) const {
    return {row_sums.data(), offsets.load(at)};
  }
};
template <class Range, class Offsets>
add_weight_offset(const Range&, const Offsets&)
    -> add_weight_offset<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

namespace machine {

/// Stages that say what a weight of code 0 is worth: every weight must have a code.
template <class Stage>
inline constexpr bool gives_zero_a_value_v = std::is_same_v<Stage, subtract_weight_zero_point>;
template <class T>
inline constexpr bool gives_zero_a_value_v<add_weight_offset<T>> = true;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
