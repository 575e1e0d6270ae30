// SPDX-License-Identifier: MIT
#include "bench/workbench/peaks.hpp"

#include <sparq/base/amx.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/plan/best_seconds.hpp>
#include <sparq/simd/vec.hpp>

#include <cstdint>
#include <type_traits>

namespace workbench {

namespace {

// The compiler must believe that the operand changes, or it hoists the product out of the loop.
#if defined(__x86_64__)
#define WORKBENCH_OPAQUE(x) __asm__ volatile("" : "+x"(x))
#define WORKBENCH_OPAQUE_ADDRESS(x) __asm__ volatile("" : "+r"(x))
#define WORKBENCH_APART __attribute__((noinline))
#else
#define WORKBENCH_OPAQUE_ADDRESS(x) static_cast<void>(x)
#define WORKBENCH_APART
#define WORKBENCH_OPAQUE(x) static_cast<void>(0)
#endif

constexpr std::size_t chains = 12;  // independent: enough to hide the latency, few enough for sixteen registers

/// Sums of a function of its own, so that they live in registers whoever calls it.
template <class Atom, class W>
WORKBENCH_APART void run_chains(const std::uint32_t* words, const typename Atom::packed_x* packed, std::size_t repeats,
                                typename Atom::acc_type* sums) {
  using loader = typename Atom::template loader<W>;
  const auto w = loader::template decode<0>(loader::load(words));
  auto x = Atom::broadcast(packed);
  typename Atom::acc acc[chains];
  SPARQ_UNROLL for (std::size_t i = 0; i < chains; ++i) acc[i] = Atom::zero();
  for (std::size_t n = 0; n < repeats; ++n) {
    SPARQ_UNROLL for (std::size_t i = 0; i < chains; ++i) {
      if constexpr (sizeof(x) >= 16) WORKBENCH_OPAQUE(x);
      if constexpr (std::is_pointer_v<decltype(x)>) WORKBENCH_OPAQUE_ADDRESS(x);
      acc[i] = Atom::dot(acc[i], w, x);
    }
  }
  SPARQ_UNROLL for (std::size_t i = 0; i < chains; ++i) Atom::store(sums + i * Atom::lanes, acc[i]);
}

template <class X, class W, class Shape = sparq::default_panel_shape<W>>
peak_kernel kernel_of() {
  using Atom = sparq::atom_for<X, W, Shape>;
  constexpr std::size_t repeats = 5000;
  constexpr std::size_t macs =
      repeats * chains * Atom::lanes * Atom::group_k * sparq::machine::joined_groups_v<Atom> / Atom::steps;
  return {[] {
            alignas(64) typename Atom::packed_x x[64] = {};
            alignas(64) std::uint32_t words[16];
            alignas(64) typename Atom::acc_type sums[chains * Atom::lanes];
            for (std::uint32_t& word : words) word = 0x01010101;
            run_chains<Atom, W>(words, x, repeats, sums);
            volatile typename Atom::acc_type sink = sums[0];
            static_cast<void>(sink);
          },
          static_cast<double>(macs)};
}

#if SPARQ_HAS_AMX_INT8
constexpr std::size_t tile_repeats = 2000;
constexpr double tile_macs = tile_repeats * 4.0 * 16 * 16 * 64;

/// Products of tiles whose words and rows of X stay in them.
WORKBENCH_APART void run_tiles() {
  alignas(64) static constexpr std::int8_t ones[1024] = {1};
  const sparq::machine::byte_tiles<true>::scope scope(true);
  _tile_loadd(4, ones, 64);
  _tile_loadd(5, ones, 64);
  _tile_loadd(6, ones, 64);
  _tile_loadd(7, ones, 64);
  for (std::size_t n = 0; n < tile_repeats; ++n) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
}
#endif

}  // namespace

peak_kernel dot_kernel() {
#if SPARQ_HAS_AMX_INT8
  if (sparq::uses_amx()) return {run_tiles, tile_macs};
#endif
  return kernel_of<sparq::u8, sparq::s8>();
}
peak_kernel popcount_kernel() { return kernel_of<sparq::binary, sparq::binary, sparq::bit_panel_shape>(); }
peak_kernel fma_kernel() { return kernel_of<sparq::f32, sparq::f32>(); }
peak_kernel bf16_kernel() { return kernel_of<sparq::bf16, sparq::bf16>(); }

double gmacs(const peak_kernel& kernel) {
  const auto [seconds] = sparq::best_seconds(0.1, [&](std::size_t) { kernel.run(); });
  return kernel.macs / seconds * 1e-9;
}

reader::reader(std::size_t bytes)
    : buffer_(bytes), stream_(bytes / 64 / 4), passes_(1 + (std::size_t{1} << 20) / (bytes + 1)) {}

void reader::run() {
  const auto* data = reinterpret_cast<const float*>(buffer_.data());
  sparq::vec<float> sums[4];
  SPARQ_UNROLL for (auto& sum : sums) sum = sparq::vec<float>(0.0F);
  for (std::size_t pass = 0; pass < passes_; ++pass)
    for (std::size_t i = 0; i < stream_; ++i) {
      SPARQ_UNROLL for (std::size_t j = 0; j < 4; ++j) sums[j] =
          max(sums[j], sparq::vec<float>::load(data + (j * stream_ + i) * 16));
    }
  float lanes[16];
  (max(max(sums[0], sums[1]), max(sums[2], sums[3]))).store(lanes);
  volatile float sink = lanes[0];
  static_cast<void>(sink);
}

double reader::bytes() const { return static_cast<double>(passes_ * stream_ * 4 * 64); }

double read_bandwidth(std::size_t bytes) {
  reader memory(bytes);
  const auto [seconds] = sparq::best_seconds(0.1, [&](std::size_t) { memory.run(); });
  return memory.bytes() / seconds * 1e-9;
}

}  // namespace workbench
