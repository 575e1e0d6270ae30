// SPDX-License-Identifier: MIT
#pragma once
// Scales along k in the columns loop: a section of a panel has one scale for each channel. Its sums are converted,
// scaled and added to floats, section by section, in the order of k: what the rows loop does, with the same roundings.

#include <sparq/simd/vec.hpp>
#include <sparq/simd/vec_s64.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// to[i] += float(sums[i] + correction) * scale, for `count` sums of one channel.
template <class Acc>
SPARQ_INLINE void add_scaled(const Acc* sums, std::size_t count, Acc correction, float scale, float* to) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t lanes = (std::min)(count - i, std::size_t{16});
    const vec<float> before = vec<float>::load(to + i, lanes);
    if constexpr (std::is_same_v<Acc, float>)
      multiply_add(vec<float>::load(sums + i, lanes), vec<float>(scale), before).store(to + i, lanes);
    else
      multiply_add(to_f32(vec<Acc>::load(sums + i, lanes) + vec<Acc>(correction)), vec<float>(scale), before)
          .store(to + i, lanes);
  }
}

/// The scales and weight sums of a tensor whose scales run along k, section by section.
template <class Packed>
struct section_scaling {
  static constexpr std::size_t channels = Packed::shape_type::channels;
  const float* scales;
  const std::int32_t* sums;
  std::size_t sections;
  std::int32_t factor;  // true sum = accumulator + factor * (sum of the section's weights)

  section_scaling(const Packed& w, std::int32_t sum_factor)
      : scales(w.scales().data()), sums(w.weight_sums().data()), sections(w.sections_per_panel()), factor(sum_factor) {}

  /// Adds the sums of section s of panel p: `count` of each channel, `stride` elements apart in both.
  template <class Acc>
  void add(std::size_t p, std::size_t s, const Acc* acc, std::size_t stride, std::size_t count, float* to) const {
    const std::size_t first = (p * sections + s) * channels;
    for (std::size_t c = 0; c < channels; ++c)
      add_scaled(
          acc + c * stride, count,
          Packed::numeric_type::is_integer ? static_cast<Acc>(factor) * static_cast<Acc>(sums[first + c]) : Acc{},
          scales[first + c], to + c * stride);
  }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
