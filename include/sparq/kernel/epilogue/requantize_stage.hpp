// SPDX-License-Identifier: MIT
#pragma once
// The stage that turns accumulators into codes of the output.

#include <sparq/base/config.hpp>
#include <sparq/kernel/epilogue/requantize_lanes.hpp>
#include <sparq/kernel/epilogue/stage.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/simd/vec.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// clamp(zero_point + policy(v)) with the parameters of sixteen channels. The bounds are those of policy(v), so that
/// the sum cannot overflow.
template <class Policy>
struct requantize_channels {
  requantize_lanes<Policy> scaled;
  s32_lanes low, high, zero_point;
  std::int32_t lowest_code, code_of_zero;  // scalars of the same

  template <class Lanes>
  SPARQ_INLINE s32_lanes operator()(const Lanes& v, const lane_position&) const {
    constexpr bool takes_lanes = std::is_same_v<Lanes, s32_lanes> || wide_requantization_policy<Policy>;
    static_assert(takes_lanes,
                  "sparq: this policy takes int32 sums; use tflite_16x8, or the stage saturate_to_integer before it");
    // Bounds are integers that floats hold: bounded first, it rounds to the same.
    if constexpr (requires { scaled.unrounded(v); })
      return round_to_s32(scaled.unrounded(v), to_f32(low), to_f32(high)) + zero_point;
    else if constexpr (takes_lanes)
      return min(max(scaled(v), low), high) + zero_point;
    else
      return zero_point;
  }

  /// The same but for what machine::byte_codes does: the zero point, and the lower bound.
  SPARQ_INLINE s32_lanes rounded(const s32_lanes& v) const
    requires requires(const requantize_lanes<Policy>& lanes, const s32_lanes& sums) { lanes.unrounded(sums); }
  {
    return round_to_s32(scaled.unrounded(v), to_f32(high));
  }
};

}  // namespace machine

/// clamp(zero_point + policy(v)): accumulators become codes of Out (numeric/requantize.hpp).
/// One set of parameters for all channels, or one for each. `low` and `high` bound the codes, for outputs of fewer bits
/// than Out has for example.
template <integer_numeric Out, requantization_parameters Parameters>
struct requantize {
  static_assert(Out::bits <= 16, "sparq: requantize yields codes of 16 bits or fewer; for int32 use scale and "
                                 "round_to_integer");

  static constexpr bool takes_rows = true;
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
    // Every call checks them: one by one they would take 1 us of 768 channels.
    if constexpr (requires(const Parameters& p) { p.is_valid(); }) {
      int are_valid = 1;
      for (const Parameters& p : per_channel) are_valid &= int{p.is_valid()};
      if (are_valid != 0) return {};
    }
    for (std::size_t i = 0; i < n; ++i)
      if (status s = per_channel[i].validate(); !s.ok())
        return status::failure("requantize: channel " + std::to_string(i) + ": " + s.message());
    return {};
  }
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    using policy = typename Parameters::policy;
    const lane_parameters<Parameters> parameters{is_per_channel ? per_channel.data() + at.channel : &single, at.count,
                                                 is_per_channel && !at.lanes_are_rows};
    return machine::requantize_channels<policy>{requantize_lanes<policy>(parameters), s32_lanes(low - zero_point),
                                                s32_lanes(high - zero_point), s32_lanes(zero_point), low, zero_point};
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

SPARQ_ABI_END
}  // namespace sparq
