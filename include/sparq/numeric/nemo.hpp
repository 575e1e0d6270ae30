// SPDX-License-Identifier: MIT
#pragma once
// Integer scales as NEMO chooses them. A tensor of codes q means step * q; going from one step to another multiplies by
// m / D, D a power of two, and rounds down.

#include <sparq/base/error.hpp>
#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/numeric/rounding.hpp>

#include <cstdint>
#include <string>

namespace sparq {

/// log2 of NEMO's D for a ratio of steps: ceil(log2(factor * ratio)), kept in [0, most]. The factor bounds the error of
/// the multiplier: at most 1 / (2 factor), 1.6 % for 32. @pre factor * ratio is positive and finite
inline int nemo_log2_d(double ratio, double factor, int most) {
  const int log2 = ceil_log2(factor * ratio);
  return log2 < 0 ? 0 : log2 > most ? most : log2;
}

/// floor_shift that takes codes with step `in` to codes with step `out`: D = 2^ceil(log2(factor * out / in)), at most
/// 2^(32 - bits), and kappa = round(D * in / out). `bits` are those of the output.
/// Errors: a step that is not positive and finite, bits outside of [1, 8], a factor outside of [1, 65536], a multiplier
/// beyond int32.
inline expected<floor_shift::parameters> try_nemo_requantization(double in, double out, int bits, double factor = 32) {
  for (const double step : {in, out})
    if (status s = detail::check_positive("nemo", "step", step); !s.ok()) return s;
  if (bits < 1 || bits > 8) return status::failure("nemo: " + std::to_string(bits) + " bits are not in [1, 8]");
  if (!(factor >= 1 && factor <= 65536))
    return status::failure("nemo: factor " + number_text(factor) + " is not in [1, 65536]");
  const int shift = nemo_log2_d(out / in, factor, 32 - bits);
  const double kappa = in / out * power_of_two(shift);
  if (!(kappa < 2147483647.0)) return status::failure("nemo: multiplier " + number_text(kappa) + " is beyond int32");
  return floor_shift::parameters{static_cast<std::int32_t>(round_half_even_in_range(kappa)), 0, shift};
}
/// Throwing twin.
inline floor_shift::parameters nemo_requantization(double in, double out, int bits, double factor = 32) {
  return try_nemo_requantization(in, out, bits, factor).value();
}

/// An integer batch normalization, kappa * acc + lambda, and the requantization behind it in one floor_shift: nothing
/// is rounded between them, so the product of the factors is exact.
/// Errors: a requantization that does not validate, kappa * m beyond int32, lambda * m beyond 2^61.
inline expected<floor_shift::parameters> try_fold_batch_norm(std::int32_t kappa, std::int64_t lambda,
                                                             const floor_shift::parameters& requantization) {
  if (status s = requantization.validate(); !s.ok()) return status::failure("nemo: " + s.message());
  const std::int64_t factor = std::int64_t{kappa} * requantization.kappa;
  const double addend = static_cast<double>(lambda) * requantization.kappa + static_cast<double>(requantization.lambda);
  if (factor < INT32_MIN || factor > INT32_MAX || !(addend < 0x1p61 && addend > -0x1p61))
    return status::failure("nemo: kappa " + std::to_string(kappa) + " and lambda " + std::to_string(lambda) +
                           " times " + std::to_string(requantization.kappa) + " do not fit");
  return floor_shift::parameters{static_cast<std::int32_t>(factor),
                                 lambda * requantization.kappa + requantization.lambda, requantization.shift};
}

}  // namespace sparq
