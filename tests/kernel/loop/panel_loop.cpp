// SPDX-License-Identifier: MIT
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/loop/panel_loop.hpp>

#include <sparq/format/dense.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/matrix.hpp"
#include "tests/support/part_of_work.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>

using namespace sparq;

namespace {

/// Products of so many rows that words may be decoded once for them, and of fewer.
template <format F, numeric N, numeric X>
void check_many_rows(std::initializer_list<sparq_test::gemm_extents> extents) {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const sparq_test::gemm_extents e : extents) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    const auto w = sparq_test::random_tensor<F, N>({e.n, e.k}, sparq_test::random_style(random), random);
    const auto x = sparq_test::random_x<X>(e, sparq_test::random_style(random), random);
    const auto packed = pack(w);
    sparq_test::guarded_output<std::int32_t> y(e.m, e.n, random);
    gemm(x.view(), packed, y.view(), epilogue<>{}, serial, scratch);
    REQUIRE(y.surroundings_intact());
    const auto want = reference_gemm(x.view(), w.view());
    const auto got = y.elements();
    for (std::size_t i = 0; i < got.size(); ++i)
      if (got[i] != want[i]) FAIL("Y[" << i / e.n << "][" << i % e.n << "] is " << got[i] << ", not " << want[i]);
  }
}

}  // namespace

TEST_CASE("panel_loop: narrow words, with many rows and with fewer") {
  const auto extents = {sparq_test::gemm_extents{35, 40, 100}, {36, 33, 64}, {41, 97, 129}, {61, 16, 36}, {100, 70, 8}};
  check_many_rows<dense, s4, u8>(extents);
  check_many_rows<dense, binary, s8>(extents);
  check_many_rows<dense, u4, u8>(extents);
  check_many_rows<tile_wise<32>, s2, u8>(extents);
}

TEST_CASE("panel_loop: so many rows and channels that X may be interleaved, and fewer") {
  const auto extents = {sparq_test::gemm_extents{96, 1024, 3}, {95, 1024, 9}, {99, 1041, 33}, {107, 1056, 67}};
  check_many_rows<dense, s8, u8>(extents);
  check_many_rows<dense, s8, s8>(extents);
  check_many_rows<dense, u8, u8>(extents);
  check_many_rows<dense, s4, u8>(extents);
  check_many_rows<dense, binary, s8>(extents);
}

TEST_CASE("panel_loop: a range of rows and strips leaves the rest of Y alone") {
  using shape = default_panel_shape<s8>;
  sparq_test::check_part_of_work<tile_wise<16>, shape, atom_for<u8, s8, shape>, panel_loop>(9, 20);
  sparq_test::check_part_of_work<tile_n_m<16, 4, 4>, shape, atom_for<u8, s8, shape>, panel_loop>(9, 20);
  sparq_test::check_part_of_work<tile_n_m<48, 4, 4>, shape, atom_for<u8, s8, shape>, panel_loop>(120, 20);
  using many_rows = machine::many_rows_atom<atom_for<u8, s8, shape>>::type;
  sparq_test::check_part_of_work<dense, shape, many_rows, panel_loop>(120, 20);
  sparq_test::check_part_of_work<dense, shape, many_rows, panel_loop>(9, 36);
}
