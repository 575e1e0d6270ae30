// SPDX-License-Identifier: MIT
#pragma once
// How accumulators of a rows block become scaled floats, where scales run along k: the atom's registers are converted,
// multiplied and added to sums in memory, once for every group of scales. The sums lie in the first-level cache: the
// registers are full of accumulators.
//
//   start_sums(acc, sums of the weights, factor);
//   acc = dot(...), ...;
//   add_scaled(tile, acc, load_scales(acc, scales));

#include <sparq/base/schedule.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/wrapping.hpp>
#include <sparq/simd/x86_registers.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What an atom that adds in parts holds in a register, as sums of 32 bits: the atom's `sums`, or the register itself.
template <class Atom>
SPARQ_INLINE auto whole_sums(const typename Atom::acc& acc) {
  if constexpr (requires { Atom::sums(acc); })
    return Atom::sums(acc);
  else
    return acc;
}

/// a b + c, rounded once where registers are.
SPARQ_INLINE float multiply_add_once(float a, float b, float c) {
#if SPARQ_HAS_AVX2
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// ---- registers that are arrays: any atom in plain C++ ---------------------------------------------------------------

template <class Acc>
concept lane_array = requires(Acc acc) { acc.lane[0]; };

/// acc = factor * sums, from which integer accumulators start; floats start from 0 and have no sums.
template <lane_array Acc>
SPARQ_INLINE void start_sums(Acc& acc, const std::int32_t* sums, std::int32_t factor) {
  using lane = std::remove_cvref_t<decltype(acc.lane[0])>;
  acc = {};
  for (std::size_t i = 0; i < std::size(acc.lane); ++i)
    if constexpr (sizeof(lane) == sizeof(std::int64_t))
      acc.lane[i] = std::int64_t{factor} * sums[i];
    else if constexpr (std::is_integral_v<lane>)
      acc.lane[i] = times(factor, sums[i]);
}
template <lane_array Acc>
SPARQ_INLINE void keep_register(Acc&) {}
/// acc + sums in memory, and back.
template <lane_array Acc>
SPARQ_INLINE Acc plus_sums(Acc acc, const std::int32_t* sums) {
  using lane = std::remove_cvref_t<decltype(acc.lane[0])>;
  for (std::size_t i = 0; i < std::size(acc.lane); ++i) acc.lane[i] = plus(acc.lane[i], lane{sums[i]});
  return acc;
}
template <lane_array Acc>
SPARQ_INLINE void store_sums(std::int32_t* sums, const Acc& acc) {
  for (std::size_t i = 0; i < std::size(acc.lane); ++i) sums[i] = acc.lane[i];
}
/// The scales of one register, for accumulators like `acc`.
template <lane_array Acc>
SPARQ_INLINE const float* load_scales(const Acc&, const float* scales) { return scales; }
/// tile += float(acc) * scales
template <lane_array Acc>
SPARQ_INLINE void add_scaled(float* tile, const Acc& acc, const float* scales) {
  for (std::size_t i = 0; i < std::size(acc.lane); ++i) tile[i] += static_cast<float>(acc.lane[i]) * scales[i];
}

#if SPARQ_HAS_AVX2

/// Equal starts are still registers of their own: gcc lets one go to memory otherwise.
SPARQ_INLINE void keep_register([[maybe_unused]] __m256& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void keep_register([[maybe_unused]] __m256i& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void start_sums(__m256& acc, const std::int32_t*, std::int32_t) { acc = _mm256_setzero_ps(); }
SPARQ_INLINE void start_sums(__m256i& acc, const std::int32_t* sums, std::int32_t factor) {
  acc = _mm256_mullo_epi32(load_256(sums), _mm256_set1_epi32(factor));
}
SPARQ_INLINE __m256i plus_sums(__m256i acc, const std::int32_t* sums) { return _mm256_add_epi32(acc, load_256(sums)); }
SPARQ_INLINE void store_sums(std::int32_t* sums, __m256i acc) { store_256(sums, acc); }
SPARQ_INLINE __m256 load_scales(__m256, const float* scales) { return _mm256_loadu_ps(scales); }
SPARQ_INLINE __m256 load_scales(__m256i, const float* scales) { return _mm256_loadu_ps(scales); }
SPARQ_INLINE void add_scaled(float* tile, __m256 acc, __m256 scales) {
  _mm256_storeu_ps(tile, _mm256_fmadd_ps(acc, scales, _mm256_loadu_ps(tile)));
}
SPARQ_INLINE void add_scaled(float* tile, __m256i acc, __m256 scales) {
  add_scaled(tile, _mm256_cvtepi32_ps(acc), scales);
}

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512

SPARQ_INLINE void keep_register([[maybe_unused]] __m512& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void keep_register([[maybe_unused]] __m512i& acc) { SPARQ_KEEP_ORDER(acc); }
/// acc = 0 by an instruction that no port waits for: compilers clear one register and copy it, and at the beginning of
/// a segment copies take the places of dots.
SPARQ_INLINE void clear_register(__m512i& acc) {
  acc = _mm512_setzero_si512();
  SPARQ_CLEAR(acc);
}
SPARQ_INLINE void start_sums(__m512& acc, const std::int32_t*, std::int32_t) { acc = _mm512_setzero_ps(); }
SPARQ_INLINE void start_sums(__m512i& acc, const std::int32_t* sums, std::int32_t factor) {
  acc = _mm512_mullo_epi32(_mm512_loadu_si512(sums), _mm512_set1_epi32(factor));
}
SPARQ_INLINE __m512i plus_sums(__m512i acc, const std::int32_t* sums) {
  return _mm512_add_epi32(acc, _mm512_loadu_si512(sums));
}
SPARQ_INLINE void store_sums(std::int32_t* sums, __m512i acc) { _mm512_storeu_si512(sums, acc); }
SPARQ_INLINE __m512 load_scales(__m512, const float* scales) { return _mm512_loadu_ps(scales); }
SPARQ_INLINE __m512 load_scales(__m512i, const float* scales) { return _mm512_loadu_ps(scales); }
SPARQ_INLINE void add_scaled(float* tile, __m512 acc, __m512 scales) {
  _mm512_storeu_ps(tile, _mm512_fmadd_ps(acc, scales, _mm512_loadu_ps(tile)));
}
SPARQ_INLINE void add_scaled(float* tile, __m512i acc, __m512 scales) {
  add_scaled(tile, _mm512_cvtepi32_ps(acc), scales);
}

#endif  // SPARQ_HAS_AVX512

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
