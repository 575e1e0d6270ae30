// SPDX-License-Identifier: MIT
#pragma once
// More fixed-point policies for int32 sums (numeric/requantize.hpp).
//
//   policy           rounds                                     computed so by
//   xnn_rndnu        once, ties up; a multiplier of 24 bits     XNNPACK on ARM
//   gemmlowp_legacy  once, ties up; the offset is added first   ARM Compute Library, old TFLite (u8)
//   glow             the sum down, then once, ties up           Glow
//   floor_shift_s32  down, in 32 bits                           PULP-NN with 32-bit parameters

#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/requantize.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {

namespace detail {

/// Half of 2^shift, the constant that rounds to nearest with ties up; 0 where nothing is shifted out.
constexpr std::int64_t half_of(int shift) { return shift == 0 ? 0 : std::int64_t{1} << (shift - 1); }

}  // namespace detail

/// y = (acc * multiplier + 2^(shift-1)) >> shift: the float scale's own mantissa multiplies.
struct xnn_rndnu {
  static constexpr std::string_view name = "xnn_rndnu";

  struct parameters {
    using policy = xnn_rndnu;
    std::int32_t multiplier = 1 << 23;  ///< [2^23, 2^24)
    std::int32_t shift = 23;            ///< [16, 55]

    status validate() const {
      if (status s = detail::check_field(name, "multiplier", multiplier, 1 << 23, (1 << 24) - 1); !s.ok()) return s;
      return detail::check_field(name, "shift", shift, 16, 55);
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// Raises unless 2^-32 <= scale < 256.
  static constexpr parameters from_scale(float scale) {
    if (!in_range(scale)) refuse(scale).value();
    const auto bits = std::bit_cast<std::uint32_t>(scale);
    return {static_cast<std::int32_t>((bits & 0x7FFFFFU) | 0x800000U), static_cast<std::int32_t>(150 - (bits >> 23))};
  }
  static expected<parameters> try_from_scale(float scale) {
    if (!in_range(scale)) return refuse(scale);
    return from_scale(scale);
  }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) { return {p.multiplier, detail::half_of(p.shift), p.shift}; }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }

 private:
  static constexpr bool in_range(float scale) { return scale >= 0x1p-32f && scale < 256.0f; }
  static status refuse(float scale) { return detail::refuse(name, "scale", number_text(scale), "in [2^-32, 256)"); }
};

/// y = ((acc + offset) * multiplier + 2^(shift-1)) >> shift, in 64 bits where gemmlowp wraps.
struct gemmlowp_legacy {
  static constexpr std::string_view name = "gemmlowp_legacy";

  struct parameters {
    using policy = gemmlowp_legacy;
    std::int32_t offset = 0;
    std::int32_t multiplier = 1;  ///< 0 or more
    std::int32_t shift = 0;       ///< [0, 31]

    status validate() const {
      if (multiplier < 0) return detail::refuse(name, "multiplier", std::to_string(multiplier), "0 or more");
      return detail::check_field(name, "shift", shift, 0, 31);
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) {
    return {p.multiplier, std::int64_t{p.offset} * p.multiplier + detail::half_of(p.shift), p.shift};
  }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }
};

/// y = ((acc >> pre) * scale + 2^(post-1)) >> post, in 64 bits where Glow wraps.
struct glow {
  static constexpr std::string_view name = "glow";

  struct parameters {
    using policy = glow;
    std::int32_t pre = 0;    ///< [0, 31]
    std::int32_t scale = 1;  ///< 0 or more
    std::int32_t post = 0;   ///< [0, 62]

    status validate() const {
      if (status s = detail::check_field(name, "pre", pre, 0, 31); !s.ok()) return s;
      if (scale < 0) return detail::refuse(name, "scale", std::to_string(scale), "0 or more");
      return detail::check_field(name, "post", post, 0, 62);
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// Glow's quantizeScaleOffset32To8: the factor becomes an integer of 6 to 9 bits, powers of two become shifts alone.
  /// Factors below 1 are at most 0.8 % off (0.2 % but for those near 2^-15). Raises unless 2^-31 <= factor < 2^31.
  static constexpr parameters from_real(float factor) {
    if (!in_range(factor)) refuse(factor).value();
    const auto bits = std::bit_cast<std::uint32_t>(factor);
    if ((bits & 0x7FFFFFU) == 0) {
      const auto exponent = static_cast<std::int32_t>(bits >> 23) - 127;
      return exponent > 0 ? parameters{0, 1 << exponent, 0} : parameters{0, 1, -exponent};
    }
    parameters p{0, 0, 0};
    float scale = factor;
    for (; scale < 0.5f || (scale < 256.0f && p.post < 15); ++p.post) scale *= 2.0f;
    for (; scale < 255.0f && p.pre < p.post / 2; ++p.pre) scale *= 2.0f;
    const auto whole = static_cast<std::int32_t>(scale);  // rounded half away from zero
    p.scale = whole + (scale - static_cast<float>(whole) >= 0.5f ? 1 : 0);
    return p;
  }
  static expected<parameters> try_from_real(float factor) {
    if (!in_range(factor)) return refuse(factor);
    return from_real(factor);
  }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) { return {p.scale, detail::half_of(p.post), p.post}; }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc >> p.pre); }

 private:
  static constexpr bool in_range(float factor) { return factor >= 0x1p-31f && factor < 0x1p31f; }
  static status refuse(float factor) { return detail::refuse(name, "scale", number_text(factor), "in [2^-31, 2^31)"); }
};

/// floor_shift in 32 bits, less work: right where floor_shift_fits_s32 says so.
struct floor_shift_s32 {
  static constexpr std::string_view name = "floor_shift_s32";

  struct parameters {
    using policy = floor_shift_s32;
    std::int32_t kappa = 1;
    std::int32_t lambda = 0;
    std::int32_t shift = 0;  ///< [0, 31]

    status validate() const { return detail::check_field(name, "shift", shift, 0, 31); }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate(), kappa * acc + lambda fits in int32
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const std::uint32_t product = static_cast<std::uint32_t>(p.kappa) * static_cast<std::uint32_t>(acc);
    return static_cast<std::int32_t>(product + static_cast<std::uint32_t>(p.lambda)) >> p.shift;
  }
};

// ---- which of the two floor_shifts ----------------------------------------------------------------------------------

/// The largest |sum| of k products of |x| <= largest_x and |w| <= largest_w. @pre the result fits
constexpr std::int64_t largest_sum(std::size_t k, std::int64_t largest_x, std::int64_t largest_w) {
  return static_cast<std::int64_t>(k) * largest_x * largest_w;
}

/// Whether kappa * acc + lambda stays inside int32 for every |acc| <= largest_acc.
/// 255 * 127 * 4608 leaves |kappa| <= 14. @pre all three are 0 or more and below 2^31 - 1
constexpr bool floor_shift_fits_s32(std::int64_t largest_acc, std::int64_t largest_kappa,
                                    std::int64_t largest_lambda = 0) {
  return largest_acc <= INT32_MAX && largest_acc * largest_kappa + largest_lambda <= INT32_MAX;
}

/// floor_shift_s32 where sums of K products, kappa and lambda of these magnitudes fit, floor_shift where they do not.
template <std::size_t K, std::int64_t LargestKappa, std::int64_t LargestLambda = 0, std::int64_t LargestX = 255,
          std::int64_t LargestW = 127>
using floor_shift_for =
    std::conditional_t<floor_shift_fits_s32(largest_sum(K, LargestX, LargestW), LargestKappa, LargestLambda),
                       floor_shift_s32, floor_shift>;

/// The same parameters for 32 bits; says why where sums up to largest_acc do not fit.
inline expected<floor_shift_s32::parameters> try_narrow(const floor_shift::parameters& p, std::int64_t largest_acc) {
  if (status s = p.validate(); !s.ok()) return s;
  const std::int64_t kappa = p.kappa < 0 ? -std::int64_t{p.kappa} : p.kappa;
  const std::int64_t lambda = p.lambda < 0 ? -p.lambda : p.lambda;
  if (lambda > INT32_MAX || p.shift > 31 || !floor_shift_fits_s32(largest_acc, kappa, lambda))
    return status::failure("floor_shift_s32: kappa " + std::to_string(p.kappa) + ", lambda " +
                           std::to_string(p.lambda) + " and shift " + std::to_string(p.shift) +
                           " need 64 bits for sums up to " + std::to_string(largest_acc));
  return floor_shift_s32::parameters{p.kappa, static_cast<std::int32_t>(p.lambda), p.shift};
}

}  // namespace sparq
