// SPDX-License-Identifier: MIT
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/loop/panel_loop.hpp>

#include <sparq/format/dense.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/locked_page.hpp"
#include "tests/support/matrix.hpp"
#include "tests/support/part_of_work.hpp"

#include <cstddef>
#include <cstdint>

using namespace sparq;

namespace {

/// Products of so many rows that narrow words may be decoded beforehand, and of fewer.
template <format F, numeric N, numeric X, class Shape = default_panel_shape<N>>
void check_narrow_words() {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const sparq_test::gemm_extents e :
       {sparq_test::gemm_extents{35, 40, 100}, {36, 33, 64}, {41, 97, 129}, {61, 16, 36}, {100, 70, 8}}) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto w = sparq_test::random_tensor<F, N>({e.n, e.k}, sparq_test::random_style(random), random);
    const auto x = sparq_test::random_x<X>(e, sparq_test::random_style(random), random);
    const auto packed = pack<Shape>(w);
    const sparq_test::before_locked_page block(packed.block());
    sparq_test::guarded_output<std::int32_t> y(e.m, e.n, random);
    gemm(x.view(), packed.view().from_bytes(block.bytes()), y.view(), epilogue<>{}, serial, scratch);
    REQUIRE(y.surroundings_intact());
    const auto want = reference_gemm(x.view(), w.view());
    const auto got = y.elements();
    for (std::size_t i = 0; i < got.size(); ++i)
      if (got[i] != want[i]) FAIL("Y[" << i / e.n << "][" << i % e.n << "] is " << got[i] << ", not " << want[i]);
  }
}

}  // namespace

TEST_CASE("panel_loop: narrow words, with many rows and with fewer") {
  check_narrow_words<dense, s4, u8>();
  check_narrow_words<dense, binary, s8>();
  check_narrow_words<dense, u4, u8>();
  check_narrow_words<tile_wise<32>, s2, u8>();
}

TEST_CASE("panel_loop: narrow words of strips that are several blocks wide, nothing behind them is read") {
  check_narrow_words<dense, s4, u8, panel_shape<64, 4>>();
  check_narrow_words<tile_wise<96>, s2, s8, panel_shape<48, 4>>();
}

TEST_CASE("panel_loop: a range of rows and strips leaves the rest of Y alone") {
  using shape = default_panel_shape<s8>;
  sparq_test::check_part_of_work<tile_wise<16>, shape, atom_for<u8, s8, shape>, panel_loop>(9, 20);
  sparq_test::check_part_of_work<tile_n_m<16, 4, 4>, shape, atom_for<u8, s8, shape>, panel_loop>(9, 20);
  sparq_test::check_part_of_work<tile_n_m<48, 4, 4>, shape, atom_for<u8, s8, shape>, panel_loop>(120, 20);
}

TEST_CASE("panel_loop: a Y of sums that no near cache holds, whole blocks of rows and others") {
  sparq_test::random_source random;
  INFO(random.text());
  const sparq_test::gemm_extents e{131, 2051, 9};
  REQUIRE(e.m * e.n * sizeof(std::int32_t) >= blocking<atom_for<u8, s8, default_panel_shape<s8>>>::far_y_bytes);
  const auto w = sparq_test::random_tensor<dense, s8>({e.n, e.k}, sparq_test::random_style(random), random);
  const auto x = sparq_test::random_x<u8>(e, sparq_test::random_style(random), random);
  sparq_test::guarded_output<std::int32_t> y(e.m, e.n, random);
  workspace scratch;
  gemm(x.view(), pack(w), y.view(), epilogue<>{}, serial, scratch);
  REQUIRE(y.surroundings_intact());
  const auto want = reference_gemm(x.view(), w.view());
  const auto got = y.elements();
  for (std::size_t i = 0; i < got.size(); ++i)
    if (got[i] != want[i]) FAIL("Y[" << i / e.n << "][" << i % e.n << "] is " << got[i] << ", not " << want[i]);
}
