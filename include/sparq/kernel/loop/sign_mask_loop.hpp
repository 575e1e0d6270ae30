// SPDX-License-Identifier: MIT
#pragma once
// One row of bytes times weights of -1 and 1 where a register multiplies 64 bytes at once: bits of W are factors as
// they lie in their bytes, so nothing is decoded (simd/narrow/x86_avx512_sign_masks.hpp). Weights are read as
// panel_loop reads them.
//
//   copy of X, and its sum
//   for each four strips:  sums of x whose weight is -1  ->  sum - 2 sums  ->  epilogue  ->  Y

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/loop/sign_table_loop.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/simd/narrow/x86_avx512_sign_masks.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Whether sign_mask_loop multiplies one row of X by these weights.
template <class Packed, class X>
inline constexpr bool sums_by_masks_v = SPARQ_HAS_AVX512VNNI && meets_signs_v<Packed, X>;

}  // namespace machine

#if SPARQ_HAS_AVX512VNNI

/// One operation with one row; see panel_loop, whose packed weights it reads. @pre machine::sums_by_masks_v,
/// y.rows == 1
template <class Packed, class Source, class Y, class Epilogue>
class sign_mask_loop {
 public:
  using x_code = typename Source::element;
  static constexpr std::string_view loop_name() { return "rows, sums by bits"; }
  static constexpr std::string_view atom_name() {
    return std::is_signed_v<x_code> ? "sum4_s8b1_avx512vnni" : "sum4_u8b1_avx512vnni";
  }
  static std::string x_access() { return std::string(Source::access) + "copied"; }

  sign_mask_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {}

  /// Whether sums stay exact; more rows share decoded weights.
  static bool suits(std::size_t rows, std::size_t k) { return rows == 1 && k <= machine::sign_mask_k; }
  static constexpr std::size_t cached_rows() { return 1; }
  std::size_t scratch_bytes(std::size_t) const {
    return copied_bytes() + (Source::in_memory ? 0 : round_up(w_.shape().k + 64, alignment));
  }

  /// Computes row m0 of the channels in strips [s0, s1). @pre scratch has scratch_bytes(1)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    if (m0 == m1) return;
    auto* copied = reinterpret_cast<std::uint8_t*>(scratch);
    auto cursor = source_.start(m0);
    const x_code* x = cursor.next(reinterpret_cast<x_code*>(copied + copied_bytes()));
    const std::int32_t total = machine::copy_and_sum(x, w_.shape().k, copied);
    const auto run = [&](const packed_panel& panel, std::size_t s, std::size_t last) SPARQ_LAMBDA_INLINE {
      for (; last - s >= strips_at_once; s += strips_at_once) run_strips<strips_at_once>(panel, s, m0, copied, total);
      for (; s < last; ++s) run_strips<1>(panel, s, m0, copied, total);
    };
    machine::for_strips(w_, s0, s1, run);
  }

 private:
  /// A signed X was made 128 greater.
  static constexpr std::int32_t sum_factor = std::is_signed_v<x_code> ? -128 : 0;
  /// Four streams of memory, for which sums have just the registers.
  static constexpr std::size_t strips_at_once = 4;

  std::size_t copied_bytes() const { return round_up(w_.shape().k, alignment); }

  template <std::size_t S>
  void run_strips(const packed_panel& panel, std::size_t strip, std::size_t m, const std::uint8_t* x,
                  std::int32_t total) const noexcept {
    const std::size_t count = ceil_div(w_.shape().k, std::size_t{32}), strip_words = count * 16;
    std::array<const std::uint32_t*, S> words;
    for (std::size_t i = 0; i < S; ++i) words[i] = w_.words().data() + panel.words + (strip + i) * strip_words;
    alignas(alignment) std::int32_t sums[16 * S];
    machine::add_by_sign_masks<S>(x, words, count, strips_at_once * strip_words, sums);
    for (std::int32_t& sum : sums)
      sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(total) - 2 * static_cast<std::uint32_t>(sum));
    const std::size_t channels = (std::min)(panel.kept - strip * 16, S * 16);
    store_tile(sums, 16 * S, 1, channels, sum_factor, y_,
               {m, panel.first_channel + strip * 16, 0, w_.weight_sums().data()}, stages_);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class sign_mask_loop;

#endif  // SPARQ_HAS_AVX512VNNI

SPARQ_ABI_END
}  // namespace sparq
