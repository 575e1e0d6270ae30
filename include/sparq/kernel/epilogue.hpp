// SPDX-License-Identifier: MIT
#pragma once
// What happens to accumulators before they are stored: a list of stages, fixed at compile time, applied to sixteen
// neighbouring channels of one row at a time. The value starts as s32, s64 or f32, stages may change that, and the element
// type of Y decides how it is stored: bytes saturate, and floats must be rounded by a stage before they become integers.

#include <sparq/base/config.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/numeric/requantize_wide.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/vec_s64.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/planes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Where sixteen lanes sit in Y, and what is known of their channels.
struct lane_position {
  std::size_t row = 0;                         // of Y
  std::size_t channel = 0;                     // of lane 0
  std::size_t count = 0;                       // lanes in use, the others are never stored
  const std::int32_t* weight_sums = nullptr;   // of all channels; integers only
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

struct unchecked_stage {
  static status check(std::size_t, std::size_t) { return {}; }
};

}  // namespace machine

// ---- stages ---------------------------------------------------------------------------------------------------------
// A stage is a callable (lanes, lane_position) -> lanes with check(m, n), which refuses parameters that do not match Y.

/// Adds values[channel]: int32 before floats, float after.
template <class T>
struct bias {
  std::span<const T> values;

  explicit bias(std::span<const T> per_channel) : values(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("bias", values, n); }
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position& at) const {
    return v + vec<T>::load(values.data() + at.channel, at.count);
  }
};
template <class Range>
bias(const Range&) -> bias<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

/// Takes back the zero point of X: subtracts zero_point * (sum of the channel's weight codes).
struct subtract_zero_point : machine::unchecked_stage {
  std::int32_t zero_point;

  explicit subtract_zero_point(std::int32_t x_zero_point) : zero_point(x_zero_point) {}
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return v - s32_lanes(zero_point) * s32_lanes::load(at.weight_sums + at.channel, at.count);
  }
  SPARQ_INLINE s64_lanes operator()(const s64_lanes& v, const lane_position& at) const {
    return v - s64_lanes(zero_point) * to_s64(s32_lanes::load(at.weight_sums + at.channel, at.count));
  }
};

/// The nearest float, ties to even.
struct to_float : machine::unchecked_stage {
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position&) const { return to_f32(v); }
  SPARQ_INLINE f32_lanes operator()(const s64_lanes& v, const lane_position&) const { return to_f32(v); }
};

/// From the int64 sums of 16-bit activations to int32, saturated.
struct saturate_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const s64_lanes& v, const lane_position&) const { return saturate_to_s32(v); }
};

/// The nearest int32, ties to even, saturated.
struct round_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const f32_lanes& v, const lane_position&) const { return round_to_s32(v); }
};

/// Multiplies by one number; integers become floats first.
struct scale : machine::unchecked_stage {
  float factor;

  explicit scale(float by) : factor(by) {}
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position&) const { return v * f32_lanes(factor); }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

/// Multiplies by factors[channel]; integers become floats first.
struct scale_per_channel {
  std::span<const float> factors;

  explicit scale_per_channel(std::span<const float> per_channel) : factors(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("scale_per_channel", factors, n); }
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
    return v * f32_lanes::load(factors.data() + at.channel, at.count);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

/// Multiplies by factors[row], for activations quantized row by row; integers become floats first.
struct scale_per_row {
  std::span<const float> factors;

  explicit scale_per_row(std::span<const float> per_row) : factors(per_row) {}
  status check(std::size_t m, std::size_t) const {
    if (factors.size() == m) return {};
    return status::failure("scale_per_row: " + std::to_string(factors.size()) + " values for " + std::to_string(m) +
                           " rows");
  }
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
    return v * f32_lanes(factors[at.row]);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

/// Adds another m x n matrix, a residual for example. It may be Y itself.
template <class T>
struct add {
  matrix_view<const T> other;

  explicit add(matrix_view<const T> matrix) : other(matrix) {}
  status check(std::size_t m, std::size_t n) const {
    if (other.rows == m && other.columns == n && other.stride >= n) return {};
    return status::failure("add: the matrix is " + extent_text(other) + ", Y is " + std::to_string(m) + " x " +
                           std::to_string(n));
  }
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position& at) const {
    return v + vec<T>::load(other.row(at.row) + at.channel, at.count);
  }
};
template <class T>
add(matrix_view<T>) -> add<std::remove_const_t<T>>;

/// max(v, 0).
struct relu : machine::unchecked_stage {
  template <class T>
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const { return max(v, vec<T>(T{})); }
};

/// min(max(v, low), high).
template <class T>
struct clamp : machine::unchecked_stage {
  T low;
  T high;

  clamp(T lowest, T highest) : low(lowest), high(highest) {}
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const {
    return min(max(v, vec<T>(low)), vec<T>(high));
  }
};

namespace machine {

/// A requantization policy on sixteen lanes; the scalar oracle lane by lane unless there is something better.
template <class Policy>
struct requantize_lanes {
  template <class Load>
  static SPARQ_INLINE s32_lanes apply(const s32_lanes& v, Load&& parameters) {
    return map_lanes(v, [&](std::int32_t acc, std::size_t lane) { return Policy::apply(acc, parameters(lane)); });
  }
};

}  // namespace machine

/// clamp(zero_point + policy(v)): accumulators become codes of Out (numeric/requantize.hpp).
/// One set of parameters for all channels, or one for each.
template <integer_numeric Out, requantization_parameters Parameters>
struct requantize {
  static_assert(Out::bits <= 16, "sparq: requantize yields codes of 16 bits or fewer; for int32 use scale and "
                                 "round_to_integer");

  bool is_per_channel = false;
  std::span<const Parameters> per_channel;  // one for each channel, or
  Parameters single{};                      // one for all
  std::int32_t zero_point = 0;
  std::int32_t low = Out::min_code;
  std::int32_t high = Out::max_code;

  status check(std::size_t, std::size_t n) const {
    if (low > high || low < Out::min_code || high > Out::max_code)
      return status::failure("requantize: clamps to [" + std::to_string(low) + ", " + std::to_string(high) + "], " +
                             std::string(Out::name) + " holds [" + std::to_string(Out::min_code) + ", " +
                             std::to_string(Out::max_code) + "]");
    if (zero_point < Out::min_code || zero_point > Out::max_code)
      return status::failure("requantize: zero point " + std::to_string(zero_point) + " is no code of " +
                             std::string(Out::name));
    if (!is_per_channel) return single.validate();
    if (status s = machine::check_channels("requantize", per_channel, n); !s.ok()) return s;
    for (std::size_t i = 0; i < n; ++i)
      if (status s = per_channel[i].validate(); !s.ok())
        return status::failure("requantize: channel " + std::to_string(i) + ": " + s.message());
    return {};
  }
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return clamped(scaled(v, at));
  }
  /// The int64 sums of 16-bit activations meet a policy for them.
  SPARQ_INLINE s32_lanes operator()(const s64_lanes& v, const lane_position& at) const {
    using policy = typename Parameters::policy;
    static_assert(wide_requantization_policy<policy>,
                  "sparq: this policy takes int32 sums; use tflite_16x8, or the stage saturate_to_integer before it");
    return clamped(map_to_s32(v, [&](std::int64_t acc, std::size_t lane) {
      return policy::apply(acc, !is_per_channel ? single : per_channel[at.channel + (lane < at.count ? lane : 0)]);
    }));
  }

 private:
  SPARQ_INLINE s32_lanes clamped(const s32_lanes& v) const {
    // before the zero point is added, so that the sum cannot overflow
    const s32_lanes codes = min(max(v, s32_lanes(low - zero_point)), s32_lanes(high - zero_point));
    return codes + s32_lanes(zero_point);
  }
  SPARQ_INLINE s32_lanes scaled(const s32_lanes& v, const lane_position& at) const {
    using policy = typename Parameters::policy;
    if constexpr (std::is_same_v<policy, fp32_nearest_even>) {
      static_assert(sizeof(Parameters) == sizeof(float), "sparq: fp32_nearest_even has one float for a channel");
      const f32_lanes factors =
          !is_per_channel ? f32_lanes(single.scale)
                          : f32_lanes::load(reinterpret_cast<const float*>(per_channel.data()) + at.channel, at.count);
      return round_to_s32(to_f32(v) * factors);
    } else {
      return machine::requantize_lanes<policy>::apply(v, [&](std::size_t lane) {
        if (!is_per_channel) return single;
        return per_channel[at.channel + (lane < at.count ? lane : 0)];
      });
    }
  }
};

/// A requantize stage with one set of parameters for all channels.
template <integer_numeric Out, requantization_parameters Parameters>
requantize<Out, Parameters> requantize_to_codes(const Parameters& parameters, std::int32_t zero_point = 0,
                                                std::int32_t low = Out::min_code, std::int32_t high = Out::max_code) {
  return {false, {}, parameters, zero_point, low, high};
}
/// A requantize stage with parameters for each channel, which the caller keeps alive.
template <integer_numeric Out, requantization_parameters Parameters>
requantize<Out, Parameters> requantize_to_codes(std::span<const Parameters> per_channel, std::int32_t zero_point = 0,
                                                std::int32_t low = Out::min_code, std::int32_t high = Out::max_code) {
  return {true, per_channel, {}, zero_point, low, high};
}

// ---- the list -------------------------------------------------------------------------------------------------------

/// Stages in the order of their application; empty: accumulators are stored as they are.
template <class... Stages>
struct epilogue {
  std::tuple<Stages...> stages;

  epilogue() = default;
  explicit epilogue(Stages... all_stages)
    requires(sizeof...(Stages) > 0)
      : stages(all_stages...) {}

  /// The first stage whose parameters do not match an m x n output, or ok.
  status check(std::size_t m, std::size_t n) const {
    status result;
    std::apply([&](const auto&... stage) { static_cast<void>(((result = stage.check(m, n), result.ok()) && ...)); },
               stages);
    return result;
  }

  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, const lane_position& at) const {
    return apply<0>(v, at);
  }

 private:
  template <std::size_t I, class Lanes>
  SPARQ_INLINE auto apply(const Lanes& v, const lane_position& at) const {
    if constexpr (I == sizeof...(Stages))
      return v;
    else
      return apply<I + 1>(std::get<I>(stages)(v, at), at);
  }
};
template <class... Stages>
epilogue(Stages...) -> epilogue<Stages...>;

namespace machine {

template <class Y, class Lanes>
inline constexpr bool can_store_v = (std::is_same_v<Lanes, f32_lanes> && std::is_same_v<Y, float>) ||
                                    (std::is_same_v<Lanes, s64_lanes> && std::is_same_v<Y, std::int64_t>) ||
                                    (std::is_same_v<Lanes, s32_lanes> && !std::is_same_v<Y, float> &&
                                     !std::is_same_v<Y, std::int64_t>);

template <class Y, class T>
SPARQ_INLINE void store_lanes(Y* to, const vec<T>& v, std::size_t count) {
  static_assert(can_store_v<Y, vec<T>>,
                "sparq: the epilogue's last stage does not yield what Y holds; end with requantize, round_to_integer or "
                "a scale");
  if constexpr (std::is_same_v<Y, T>)
    v.store(to, count);
  else if constexpr (sizeof(Y) == 2)
    store_saturated_s16(to, v, count);
  else
    store_saturated(to, v, count);
}

}  // namespace machine

/// Applies an epilogue to a tile of accumulators and stores it.
/// - `tile`: rows x channels, `ldt` elements apart
/// - `factor`: what the atom leaves to be added, times the sums of the weights
/// - `y`: where (row, channel) is stored, 16 channels beside each other; or what stores lanes itself
template <class Acc, class Out, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const Out& y, lane_position at, const Epilogue& stages) noexcept {
  const std::size_t first_channel = at.channel;
  for (std::size_t r = 0; r < rows; ++r, ++at.row) {
    for (std::size_t c = 0; c < channels; c += 16) {
      at.channel = first_channel + c;
      at.count = channels - c < 16 ? channels - c : 16;
      vec<Acc> v = vec<Acc>::load(tile + r * ldt + c, at.count);
      if constexpr (std::is_same_v<Acc, std::int32_t>)
        if (factor != 0) v = v + s32_lanes(factor) * s32_lanes::load(at.weight_sums + at.channel, at.count);
      if constexpr (requires { y.store_lanes(at, stages(v, at)); })
        y.store_lanes(at, stages(v, at));
      else
        machine::store_lanes(&y(at.row, at.channel), stages(v, at), at.count);
    }
  }
}

namespace machine {

/// Sixteen rows of sixteen channels on their way to a Y that is stored by columns.
template <class Y>
struct square_tile {
  alignas(64) mutable Y elements[16][16];
  std::size_t first_row = 0;
  std::size_t first_channel = 0;

  Y& operator()(std::size_t row, std::size_t channel) const { return elements[row - first_row][channel - first_channel]; }
};

}  // namespace machine

/// The same for a Y stored by columns, whose row `first_row` is the row of `at`. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_columns(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                   const k_major_view<Y>& y, std::size_t first_row, lane_position at, const Epilogue& stages) noexcept {
  machine::square_tile<Y> square;
  square.first_channel = at.channel;
  for (std::size_t r = 0; r < rows; r += 16, at.row += 16) {
    const std::size_t height = rows - r < 16 ? rows - r : 16;
    square.first_row = at.row;
    store_tile<Acc, machine::square_tile<Y>, Epilogue>(tile + r * ldt, ldt, height, channels, factor, square, at, stages);
    machine::store_transposed(&square.elements[0][0], height, channels, y.column(at.channel) + first_row + r, y.stride);
  }
}
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const k_major_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  store_columns(tile, ldt, rows, channels, factor, y, at.row, at, stages);
}

/// The same for planes. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const plane_matrix_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  for (std::size_t r = 0; r < rows;) {
    const std::size_t image = at.row / y.image_rows;
    const std::size_t count = (std::min)(rows - r, (image + 1) * y.image_rows - at.row);
    const k_major_view<Y> of_image(y.data + image * y.image_stride, y.image_rows, y.columns, y.stride);
    store_columns(tile + r * ldt, ldt, count, channels, factor, of_image, at.row - image * y.image_rows, at, stages);
    r += count;
    at.row += count;
  }
}

SPARQ_ABI_END
}  // namespace sparq
