// SPDX-License-Identifier: MIT
#include <sparq/kernel/select.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

namespace {
template <class X, class W>
using chosen = atom_for<X, W, default_panel_shape<W>>;
}

#if SPARQ_HAS_AVX512VNNI
static_assert(std::is_same_v<chosen<u8, s8>, dot4_avx512vnni<u8, s8>>, "sparq: VNNI goes first");
#elif SPARQ_HAS_AVX512
static_assert(std::is_same_v<chosen<u8, s8>, dot4_avx512<u8, s8>>, "sparq: AVX-512 goes before AVX2");
#elif SPARQ_HAS_AVX2
static_assert(std::is_same_v<chosen<u8, s8>, dot4_avx2<u8, s8>>, "sparq: AVX2 goes before scalar");
#else
static_assert(std::is_same_v<chosen<u8, s8>, dot4_scalar<u8, s8>>, "sparq: scalar serves everything");
#endif
#if SPARQ_HAS_AVX512BF16
static_assert(std::is_same_v<chosen<bf16, bf16>, dot2_bf16_avx512bf16>, "sparq: pairs of bf16 have an instruction");
#elif SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
static_assert(std::is_same_v<chosen<bf16, bf16>, dot2_bf16_avx2>, "sparq: pairs of bf16 take two steps");
static_assert(std::is_same_v<chosen<f32, bf16>, fma1_avx2<f32, bf16>>, "sparq: with f32, bf16 is f32");
#endif
static_assert(std::is_same_v<chosen<f32, s8>, machine::no_atom>, "sparq: floats do not meet integer codes");
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
static_assert(std::is_same_v<chosen<s8, s4>, dot4_narrow_avx2<s8, s4>>,
              "sparq: narrow codes have an atom of their own");
static_assert(std::is_same_v<chosen<u8, s8_up_to_64>, dot4_pairs_avx2<u8, s8_up_to_64>>,
              "sparq: so have those up to 64");
#else
static_assert(std::is_same_v<chosen<u8, s8_up_to_64>, chosen<u8, s8>>, "sparq: codes up to 64 are bytes");
static_assert(std::is_same_v<chosen<s8, s4>, chosen<s8, s8>>, "sparq: narrow codes are decoded to bytes first");
#endif

TEST_CASE("select: a strip that no wide register divides is served by a narrower atom") {
  using narrow = atom_for<u8, s8, panel_shape<4, 4>>;
  CHECK(narrow::lanes == 4);
}
