// SPDX-License-Identifier: MIT
// Scales along k in the rows loop, with powers of two for scales: every sum is exact, whatever the order. Roundings are
// in the matrix test of scales.
#include <sparq/kernel/loop/scaled_rows.hpp>

#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/matrix.hpp"

#include <cmath>
#include <cstring>
#include <tuple>

using namespace sparq;
using sparq_test::gemm_extents;

namespace {

/// An atom whose sums are full after a few groups, on every CPU.
template <integer_numeric X, integer_numeric W>
struct filling_atom : dot4_scalar<X, W> {
  using base = dot4_scalar<X, W>;
  static constexpr std::size_t max_groups = 4;
  static void add(std::int32_t* p, const typename base::acc& c) {
    for (std::size_t i = 0; i < base::lanes; ++i) p[i] += c.lane[i];
  }
};
struct filling_atoms {
  template <numeric X, numeric W>
  using list = std::tuple<filling_atom<X, std::conditional_t<W::is_signed, s8, u8>>>;
};

template <format F, numeric N, quantization_granularity G, numeric X, class Atoms = default_atoms>
void check_scaled_rows(std::initializer_list<gemm_extents> extents) {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const gemm_extents e : extents) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto codes = sparq_test::random_tensor<F, N>({e.n, e.k}, sparq_test::random_style(random), random);
    std::vector<float> scales(G::scale_count(e.n, e.k));
    for (float& scale : scales) scale = std::ldexp(1.0F, random.between(-2, 0));
    aligned_buffer values(codes.values().size());
    std::memcpy(values.data(), codes.values().data(), values.size());
    const tensor<F, N, G> w(codes.index(), std::move(values), std::move(scales));
    const auto x = sparq_test::random_x<X>(e, sparq_test::random_style(random), random);
    const std::int32_t zero_point =
        random.chance(0.3) ? 0 : random.between(X::is_signed ? -128 : 0, X::is_signed ? 127 : 255);
    const auto packed = pack<panel_shape<16, 4>>(w);
    sparq_test::guarded_output<float> y(e.m, e.n, random);
    gemm<Atoms>(x.view(), packed, y.view(), epilogue(subtract_zero_point(zero_point)), serial, scratch);
    REQUIRE(y.surroundings_intact());
    const auto want = scaled_reference_gemm(x.view(), w.view(), zero_point);
    const auto got = y.elements();
    for (std::size_t i = 0; i < got.size(); ++i)
      if (static_cast<double>(got[i]) != want[i])
        FAIL("Y[" << i / e.n << "][" << i % e.n << "] is " << got[i] << ", not " << want[i]);
  }
}

}  // namespace

TEST_CASE("scaled_rows: segments of one part, of several, and of parts that are not full") {
  check_scaled_rows<dense, u4, per_group<4>, u8>({{7, 17, 37}, {1, 1, 4}});
  check_scaled_rows<dense, u4, per_group<32>, u8>({{13, 33, 129}, {6, 32, 64}, {5, 16, 31}});
  check_scaled_rows<dense, s4, per_group<44>, s8>({{12, 31, 133}, {3, 5, 1}});
  check_scaled_rows<dense, s4, per_group<256>, u8>({{9, 40, 700}});
  check_scaled_rows<tile_wise<8>, u4, per_group<32>, s8>({{11, 20, 150}});
}

TEST_CASE("scaled_rows: an atom of one's own whose sums fill up") {
  check_scaled_rows<dense, s8, per_group<32>, u8, filling_atoms>({{6, 19, 100}, {2, 16, 15}});
  check_scaled_rows<dense, u4, per_group<8>, s8, filling_atoms>({{5, 18, 50}});
}

TEST_CASE("scaled_rows: enough rows to widen words for, whole blocks and what is left of them") {
  check_scaled_rows<dense, s8, per_group<32>, u8>({{36, 16, 32}, {41, 35, 100}, {79, 17, 127}});
  check_scaled_rows<dense, u8, per_group<16>, s8>({{37, 40, 63}, {47, 5, 1}});
  check_scaled_rows<tile_wise<8>, s8, per_group<32>, u8>({{43, 20, 150}});
  check_scaled_rows<n_m<2, 4>, s8, per_group<64>, u8>({{38, 33, 129}});
}

TEST_CASE("scaled_rows: a zero point of 16 bits, whose sums leave int32 before those of X do") {
  const auto check = [](auto granularity) {
    using G = decltype(granularity);
    constexpr std::size_t n = 17, k = 3 * G::group;
    aligned_buffer values(n * k);
    std::memset(values.data(), -128, n * k);
    const tensor<dense, s8, G> w(dense::index<owned>{{n, k}}, std::move(values),
                                 std::vector<float>(G::scale_count(n, k), 0.5F));
    const auto packed = pack<panel_shape<16, 4>>(w);
    for (const std::size_t m : {std::size_t{1}, std::size_t{7}}) {
      const std::vector<std::int16_t> elements(m * k, 32767);
      const matrix_view<const std::int16_t> x(elements.data(), m, k);
      std::vector<float> y(m * n);
      workspace scratch;
      gemm(x, packed, matrix_view<float>(y.data(), m, n), epilogue(subtract_zero_point(-32768)), serial, scratch);
      const auto want = scaled_reference_gemm(x, w.view(), -32768);
      for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(static_cast<double>(y[i]) == want[i]);
    }
  };
  check(per_group<256>());
  check(per_group<384>());   // products fit into 32 bits, but not with the zero point
  check(per_group<1024>());  // nor do products alone
}
