// SPDX-License-Identifier: MIT
#pragma once
// From an int32 accumulator to the output's integer scale. Ecosystems disagree about the rounding, so it is a policy,
// a type; each policy here is the scalar truth that kernels have to reproduce bit by bit.
//
//   policy             acc * m is rounded                                   computed so by
//   tflite_double      to 31 bits (ties up), then shifted (ties away)       TFLite reference, TFLite Micro, CMSIS-NN
//   tflite_single      once, ties up                                        TFLITE_SINGLE_ROUNDING, ruy
//   fp32_nearest_even  in float, then to integer, ties to even              XNNPACK, FBGEMM (PyTorch on x86)
//   floor_shift        down                                                 NEMO, PULP-NN, DORY
//
// More of them: requantize_fixed.hpp (xnn_rndnu, gemmlowp_legacy, glow, floor_shift in 32 bits),
// requantize_float.hpp (ONNX, ncnn), requantize_wide.hpp (16-bit activations).
//
// A policy has `parameters` (aggregates; `validate()` says what is wrong with values that came from elsewhere) and
// `apply`, whose result saturates to int32. `>>` on negative numbers is arithmetic, as C++20 says.

#include <sparq/base/error.hpp>
#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/rounding.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace sparq {

/// A real factor as TFLite writes it: multiplier * 2^(shift - 31).
struct fixed_point_multiplier {
  std::int32_t multiplier;  ///< 0 or [2^30, 2^31)
  std::int32_t shift;       ///< positive = left
};

/// TFLite's QuantizeMultiplier: the multiplier is rounded half away from zero, factors below about 2^-32 become 0.
/// @pre m is finite and 0 or more
constexpr fixed_point_multiplier quantize_multiplier(double m) {
  const auto bits = std::bit_cast<std::uint64_t>(m);
  const auto biased_exponent = static_cast<std::int32_t>((bits >> 52) & 0x7FF);  // without the sign of -0
  if (biased_exponent == 0) return {0, 0};                                       // zero and subnormal numbers
  const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{1} << 52);
  std::int32_t shift = biased_exponent - 1022;  // m = mantissa / 2^53 * 2^shift
  std::uint64_t q31 = (mantissa + (std::uint64_t{1} << 21)) >> 22;
  if (q31 == std::uint64_t{1} << 31) {
    q31 /= 2;
    ++shift;
  }
  if (shift < -31) return {0, 0};
  return {static_cast<std::int32_t>(q31), shift};
}

/// The parameters of TFLite's policies, which differ in the largest shift.
template <class Policy, int MostShift>
struct tflite_parameters {
  using policy = Policy;
  std::int32_t multiplier = 0;  ///< [0, 2^31), real value times 2^31
  std::int32_t shift = 0;       ///< [-31, MostShift], positive = left

  /// As of scale_parameters.
  constexpr bool is_valid() const {
    return (int{multiplier >= 0} & int{shift >= -31} & int{shift <= MostShift}) != 0;
  }
  status validate() const {
    if (multiplier < 0) return detail::refuse(Policy::name, "multiplier", std::to_string(multiplier), "0 or more");
    if (shift < -31 || shift > MostShift)
      return detail::refuse(Policy::name, "shift", std::to_string(shift),
                            "in [-31, " + std::to_string(MostShift) + "]");
    return {};
  }
  friend constexpr bool operator==(const tflite_parameters&, const tflite_parameters&) = default;

  /// TFLite's QuantizeMultiplier of the real factor m = input scale * weight scale / output scale.
  /// Raises unless 0 <= m < 2^MostShift.
  static constexpr tflite_parameters from_real(double m) {
    if (!in_range(m)) refuse(m).value();
    const fixed_point_multiplier q = quantize_multiplier(m);
    return {q.multiplier, q.shift};
  }
  static expected<tflite_parameters> try_from_real(double m) {
    if (!in_range(m)) return refuse(m);
    return from_real(m);
  }

 private:
  static constexpr bool in_range(double m) {
    return m >= 0 && is_finite(m) && quantize_multiplier(m).shift <= MostShift;
  }
  static status refuse(double m) {
    return detail::refuse(Policy::name, "multiplier", number_text(m), "in [0, 2^" + std::to_string(MostShift) + ")");
  }
};

/// The parameters of policies that multiply by a float.
template <class Policy>
struct scale_parameters {
  using policy = Policy;
  float scale = 0.0f;  ///< finite, 0 or more

  /// Without a branch: every call asks for the parameters of all channels.
  constexpr bool is_valid() const {
    return (int{scale >= 0.0f} & int{scale <= std::numeric_limits<float>::max()}) != 0;
  }
  status validate() const {
    if (is_valid()) return {};
    return detail::refuse(Policy::name, "scale", number_text(scale), "finite and 0 or more");
  }
  friend constexpr bool operator==(const scale_parameters&, const scale_parameters&) = default;
};

/// (acc * multiplier + addend) >> shift in 64 bits, saturated to int32: what most fixed-point policies come down to. A
/// policy with `as_affine(parameters)` runs in vectors.
struct affine_shift {
  std::int32_t multiplier;
  std::int64_t addend;  ///< acc * multiplier + addend fits for every acc
  std::int32_t shift;   ///< [0, 63]

  constexpr std::int32_t operator()(std::int32_t acc) const {
    return saturate_to_int32((std::int64_t{acc} * multiplier + addend) >> shift);
  }
};

/// TFLite's MultiplyByQuantizedMultiplier as it has always been: two roundings.
/// y = RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(acc * 2^max(shift, 0), multiplier), max(-shift, 0)).
/// acc * 2^shift saturates to int32 where TFLite leaves its overflow undefined.
struct tflite_double {
  static constexpr std::string_view name = "tflite_double";

  using parameters = tflite_parameters<tflite_double, 31>;

  static constexpr parameters from_real(double m) { return parameters::from_real(m); }
  static expected<parameters> try_from_real(double m) { return parameters::try_from_real(m); }

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const int left = p.shift > 0 ? p.shift : 0;
    const int right = p.shift > 0 ? 0 : -p.shift;
    const std::int64_t product = std::int64_t{saturate_to_int32(std::int64_t{acc} << left)} * p.multiplier;
    const auto high = static_cast<std::int32_t>((product + (std::int64_t{1} << 30)) >> 31);  // ties up
    const auto mask = static_cast<std::int32_t>((std::int64_t{1} << right) - 1);
    const std::int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);  // ties away from zero
    return (high >> right) + ((high & mask) > threshold ? 1 : 0);
  }
};

/// TFLite's MultiplyByQuantizedMultiplier with one rounding.
/// y = (acc * multiplier + 2^(t-1)) >> t, t = 31 - shift.
struct tflite_single {
  static constexpr std::string_view name = "tflite_single";

  using parameters = tflite_parameters<tflite_single, 30>;

  /// TFLite's QuantizeMultiplier, which lowers m >= 2^30 to the largest factor that there is.
  /// Raises unless m is finite and 0 or more.
  static constexpr parameters from_real(double m) {
    if (!in_range(m)) refuse(m).value();
    const fixed_point_multiplier q = quantize_multiplier(m);
    if (q.shift > 30) return {INT32_MAX, 30};
    return {q.multiplier, q.shift};
  }
  static expected<parameters> try_from_real(double m) {
    if (!in_range(m)) return refuse(m);
    return from_real(m);
  }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) {
    return {p.multiplier, std::int64_t{1} << (30 - p.shift), 31 - p.shift};
  }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }

 private:
  static constexpr bool in_range(double m) { return m >= 0 && is_finite(m); }
  static status refuse(double m) { return detail::refuse(name, "multiplier", number_text(m), "finite and 0 or more"); }
};

/// y = rint(fl(fl(acc) * scale)): each fl() is one binary32 rounding in the default mode, so |acc| > 2^24 loses low
/// bits. XNNPACK clamps the product to [clamp_min - zero_point, clamp_max - zero_point] before it rounds; the bounds
/// are integers, so the result is the same.
struct fp32_nearest_even {
  static constexpr std::string_view name = "fp32_nearest_even";

  using parameters = scale_parameters<fp32_nearest_even>;

  /// fl(fl(input * weight) / output), in the order of XNNPACK.
  static constexpr parameters from_scales(float input, float weight, float output) {
    const float product = input * weight;
    return {product / output};
  }

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    return round_half_even(static_cast<float>(acc) * p.scale);
  }
};

/// XNNPACK: the default CPU delegate of TFLite and LiteRT.
using xnn_fp32 = fp32_nearest_even;
/// FBGEMM, which is PyTorch on x86: clamp(zero_point + rint(fl(acc * multiplier))).
using fbgemm = fp32_nearest_even;

/// y = (kappa * acc + lambda) >> shift: rounds down. With 2^(shift-1) added to lambda it rounds to nearest, ties up.
/// kappa and lambda carry an integer batch normalisation, or lambda is 0 and kappa / 2^shift is the scale.
struct floor_shift {
  static constexpr std::string_view name = "floor_shift";

  struct parameters {
    using policy = floor_shift;
    std::int32_t kappa = 1;
    std::int64_t lambda = 0;  ///< |lambda| < 2^62
    int shift = 0;            ///< [0, 63]

    status validate() const {
      constexpr std::int64_t limit = std::int64_t{1} << 62;
      if (lambda <= -limit || lambda >= limit)
        return detail::refuse(name, "lambda", std::to_string(lambda), "in (-2^62, 2^62)");
      if (shift < 0 || shift > 63) return detail::refuse(name, "shift", std::to_string(shift), "in [0, 63]");
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) { return {p.kappa, p.lambda, p.shift}; }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }
};

/// A rule that turns accumulators into integers of the output's scale.
template <class T>
concept requantization_policy = requires(std::int32_t acc, typename T::parameters p) {
  requires std::same_as<typename T::parameters::policy, T>;
  { T::name } -> std::convertible_to<std::string_view>;
  { T::apply(acc, p) } -> std::same_as<std::int32_t>;
  { p.validate() } -> std::same_as<status>;
};

/// The parameters of some requantization policy.
template <class T>
concept requantization_parameters = requires {
  typename T::policy;
  requires requantization_policy<typename T::policy>;
};

/// clamp(zero_point + policy(acc)), exact for every accumulator and zero point.
/// @pre p.validate(); Out::min_code <= clamp_min <= clamp_max <= Out::max_code
template <integer_numeric Out, requantization_parameters Parameters>
constexpr typename Out::code requantize_to(std::int32_t acc, const Parameters& p, std::int32_t zero_point,
                                           std::int32_t clamp_min, std::int32_t clamp_max) {
  SPARQ_ASSERT(Out::min_code <= clamp_min && clamp_min <= clamp_max && clamp_max <= Out::max_code);
  const std::int64_t code = std::int64_t{Parameters::policy::apply(acc, p)} + zero_point;
  return static_cast<typename Out::code>(code < clamp_min ? clamp_min : code > clamp_max ? clamp_max : code);
}

}  // namespace sparq
