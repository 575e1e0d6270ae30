// SPDX-License-Identifier: MIT
#pragma once
// Requantization policies (numeric/requantize.hpp) on sixteen lanes at a time. A policy without a form of its own here
// runs lane by lane on the scalar code that defines it; one with `as_affine` runs in 64-bit vectors.

#include <sparq/base/config.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/numeric/requantize_fixed.hpp>
#include <sparq/numeric/requantize_float.hpp>
#include <sparq/numeric/requantize_wide.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/split_s64.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// The parameters of sixteen lanes: `count` of them beside each other, or one for all. Lanes behind `count` get those
/// of lane 0, whose results are never stored.
template <class Parameters>
struct lane_parameters {
  const Parameters* first;
  std::size_t count;
  bool is_per_channel;

  const Parameters& operator[](std::size_t lane) const { return first[is_per_channel && lane < count ? lane : 0]; }

  /// f(parameters) of each lane.
  template <class F>
  SPARQ_INLINE auto lanes(F&& f) const {
    using value = std::remove_cvref_t<decltype(f(*first))>;
    if (!is_per_channel) return vec<value>(f(*first));
    value values[16];
    for (std::size_t i = 0; i < 16; ++i) values[i] = f((*this)[i]);
    return vec<value>::load(values);
  }
  /// A member of each lane's parameters; where they have no other, those of neighbouring channels are one load.
  template <class Value>
  SPARQ_INLINE vec<Value> member(Value Parameters::*which) const {
    if constexpr (sizeof(Parameters) == sizeof(Value))
      if (is_per_channel && count >= 16) return vec<Value>::load(&(first->*which));
    return lanes([which](const Parameters& one) { return one.*which; });
  }
  template <class F>
  SPARQ_INLINE split_s64 lanes64(F&& f) const {
    if (!is_per_channel) return split_s64(f(*first));
    std::int64_t values[16];
    for (std::size_t i = 0; i < 16; ++i) values[i] = f((*this)[i]);
    return split_s64::load(values);
  }
};

/// A policy with the parameters of sixteen lanes: constructed once for a block of rows, called for each row.
template <class Policy>
struct requantize_lanes {
  using parameters = lane_parameters<typename Policy::parameters>;
  parameters of;

  SPARQ_INLINE explicit requantize_lanes(const parameters& p) : of(p) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return map_lanes(v, [&](std::int32_t acc, std::size_t lane) { return Policy::apply(acc, of[lane]); });
  }
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int64_t>& v) const
    requires wide_requantization_policy<Policy>
  {
    return map_to_s32(v, [&](std::int64_t acc, std::size_t lane) { return Policy::apply(acc, of[lane]); });
  }
};

/// (v * multiplier + addend) >> shift.
template <class Policy>
  requires requires(typename Policy::parameters p) { Policy::as_affine(p); }
struct requantize_lanes<Policy> {
  split_s64 multiplier, addend, shift;

  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<typename Policy::parameters>& p)
      : multiplier(p.lanes64([](const auto& one) { return std::int64_t{Policy::as_affine(one).multiplier}; })),
        addend(p.lanes64([](const auto& one) { return Policy::as_affine(one).addend; })),
        shift(p.lanes64([](const auto& one) { return std::int64_t{Policy::as_affine(one).shift}; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return saturate_to_s32((multiply(v, multiplier) + addend) >> shift);
  }
  /// The same for int64 sums, which saturate to 48 bits first as the policy says.
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int64_t>& v) const
    requires std::is_same_v<Policy, tflite_16x8>
  {
    constexpr std::int64_t limit = std::int64_t{1} << 47;
    const split_s64 inside = clamp_lanes(split_s64(v), -limit, limit - 1);
    return saturate_to_s32((multiply_by_unsigned(inside, multiplier) + addend) >> shift);
  }
};

template <>
struct requantize_lanes<glow> {
  split_s64 multiplier, addend, shift;
  vec<std::int32_t> pre;

  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<glow::parameters>& p)
      : multiplier(p.lanes64([](const auto& one) { return std::int64_t{one.scale}; })),
        addend(p.lanes64([](const auto& one) { return glow::as_affine(one).addend; })),
        shift(p.lanes64([](const auto& one) { return std::int64_t{one.post}; })),
        pre(p.lanes([](const auto& one) { return one.pre; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return saturate_to_s32((multiply(v >> pre, multiplier) + addend) >> shift);
  }
};

/// The 31-bit product as bits 31 to 62 of a 64-bit one, then a shift that rounds ties away from zero.
template <>
struct requantize_lanes<tflite_double> {
  split_s64 multiplier;
  vec<std::int32_t> left, right;
  bool has_left = false;

  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<tflite_double::parameters>& p)
      : multiplier(p.lanes64([](const auto& one) { return std::int64_t{one.multiplier}; })),
        left(p.lanes([](const auto& one) { return one.shift > 0 ? one.shift : 0; })),
        right(p.lanes([](const auto& one) { return one.shift < 0 ? -one.shift : 0; })) {
    if (!p.is_per_channel)
      has_left = p.first->shift > 0;
    else
      for (std::size_t i = 0; i < p.count; ++i) has_left = has_left || p.first[i].shift > 0;
  }
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    using s32 = vec<std::int32_t>;
    const s32 shifted = has_left ? saturating_shift(v) : v;
    const s32 high = halves_at<31>(multiply(shifted, multiplier) + split_s64(std::int64_t{1} << 30));
    const s32 mask = (s32(-1) << right) ^ s32(-1);
    const s32 threshold = (mask >> s32(1)) - (high >> s32(31));
    return (high >> right) + ones_where_greater(high & mask, threshold);
  }

 private:
  SPARQ_INLINE vec<std::int32_t> saturating_shift(const vec<std::int32_t>& v) const {
    using s32 = vec<std::int32_t>;
    const s32 most = s32(INT32_MAX) >> left, least = s32(INT32_MIN) >> left;
    const s32 low_bits = (s32(-1) << left) ^ s32(-1);
    return (min(max(v, least), most) << left) + (ones_where_greater(v, most) * low_bits);
  }
};

/// Policies that round floats to the nearest integer, ties to even: `unrounded` is what they round.
template <>
struct requantize_lanes<fp32_nearest_even> {
  vec<float> scale;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<fp32_nearest_even::parameters>& p)
      : scale(p.member(&fp32_nearest_even::parameters::scale)) {}
  SPARQ_INLINE vec<float> unrounded(const vec<std::int32_t>& v) const { return to_f32(v) * scale; }
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const { return round_to_s32(unrounded(v)); }
};

template <>
struct requantize_lanes<onnx> {
  vec<float> x_scale, y_scale;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<onnx::parameters>& p)
      : x_scale(p.member(&onnx::parameters::x_scale)), y_scale(p.member(&onnx::parameters::y_scale)) {}
  SPARQ_INLINE vec<float> unrounded(const vec<std::int32_t>& v) const { return to_f32(v) * x_scale / y_scale; }
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const { return round_to_s32(unrounded(v)); }
};

template <>
struct requantize_lanes<ncnn> {
  vec<float> scale;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<ncnn::parameters>& p)
      : scale(p.lanes([](const auto& one) { return one.scale; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    using s32 = vec<std::int32_t>;
    const s32 codes = round_to_s32<rounding::nearest_away>(rounded_product(to_f32(v), scale));
    return min(max(codes, s32(-127)), s32(127));
  }
};

template <>
struct requantize_lanes<floor_shift_s32> {
  vec<std::int32_t> kappa, lambda, shift;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<floor_shift_s32::parameters>& p)
      : kappa(p.lanes([](const auto& one) { return one.kappa; })),
        lambda(p.lanes([](const auto& one) { return one.lambda; })),
        shift(p.lanes([](const auto& one) { return one.shift; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const { return (v * kappa + lambda) >> shift; }
};

SPARQ_ABI_END
}  // namespace sparq
