// SPDX-License-Identifier: MIT
// The matrix test of X and Y whose elements share bytes: every narrow type in panels of every kind and in both loops.
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/matrix.hpp"
#include "tests/support/narrow.hpp"

using namespace sparq;

namespace {

/// Sums, and codes of N, of random products of X in N.
template <class Format, numeric W, numeric N, class Shape = default_panel_shape<W>>
void check_narrow(sparq_test::gemm_extents e, sparq_test::random_source& random, workspace& scratch) {
  using namespace sparq_test;
  INFO("m " << e.m << ", n " << e.n << ", k " << e.k << ", " << N::name);
  const auto w = random_tensor<Format, W>({e.n, e.k}, random_style(random), random);
  const auto packed = pack<Shape>(w);
  const narrow_input<N> x(e.m, e.k, random.below(4), random_style(random), random);
  const matrix_view<const typename N::code> x_in_bytes(x.codes().data(), e.m, e.k);
  const auto sums = reference_gemm(x_in_bytes, w.view());

  const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(12);
  std::vector<std::int32_t> y(e.m * e.n);
  gemm(x.view(), packed, matrix_view<std::int32_t>(y.data(), e.m, e.n), epilogue<>(),
       scrambled_executor{parts, &random}, scratch);
  REQUIRE(y == sums);

  const floor_shift::parameters halving{random.between(-3, 3), random.between(-100, 100), random.between(0, 12)};
  const std::int32_t zero_point = random.between(N::min_code, N::max_code);
  const auto requantized = requantize_to_codes<N>(halving, zero_point);
  narrow_output<N> codes(e.m, e.n, random.below(4));
  gemm(x.view(), packed, codes.view(), epilogue(requantized), scrambled_executor{parts, &random}, scratch);
  std::vector<typename N::code> wanted;
  for (const std::int32_t sum : sums)
    wanted.push_back(requantize_to<N>(sum, halving, zero_point, N::min_code, N::max_code));
  REQUIRE(codes.codes() == wanted);
  REQUIRE(codes.surroundings_intact());
}

template <class Format, numeric W, class Shape = default_panel_shape<W>>
void check_every_type() {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t m : {0u, 1u, 2u, 5u, 13u, 25u})
    for (const std::size_t n : {0u, 1u, 4u, 15u, 16u, 17u, 33u, 47u, 70u}) {
      const auto extents = [&] { return sparq_test::gemm_extents{m, n, random.below(140)}; };
      check_narrow<Format, W, u4, Shape>(extents(), random, scratch);
      check_narrow<Format, W, s4, Shape>(extents(), random, scratch);
      check_narrow<Format, W, u2, Shape>(extents(), random, scratch);
      check_narrow<Format, W, s2, Shape>(extents(), random, scratch);
      check_narrow<Format, W, u1, Shape>(extents(), random, scratch);
      check_narrow<Format, W, s4_high_first, Shape>(extents(), random, scratch);
      check_narrow<Format, W, u2_high_first, Shape>(extents(), random, scratch);
      check_narrow<Format, W, u1_high_first, Shape>(extents(), random, scratch);
    }
}

}  // namespace

TEST_CASE("matrix: narrow activations and outputs equal the reference") {
  check_every_type<dense, s8>();
  check_every_type<tile_wise<5>, s8>();  // panels that share bytes of Y
  check_every_type<n_m<2, 4>, s4>();
  check_every_type<csr, s8, default_column_shape<s8>>();
  check_every_type<csr, s4, default_bitmask_shape<s4>>();
}

TEST_CASE("matrix: binary activations and outputs are signs") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t n : {1u, 16u, 21u, 40u}) {
    const std::size_t m = 5, k = 1 + random.below(150);
    const auto w = sparq_test::random_tensor<dense, s8>({n, k}, sparq_test::value_style::any, random);
    const sparq_test::narrow_input<binary> x(m, k, random.below(3), sparq_test::value_style::any, random);
    const auto sums = reference_gemm(matrix_view<const std::int8_t>(x.codes().data(), m, k), w.view());
    sparq_test::narrow_output<binary> y(m, n, 1);
    gemm(x.view(), pack(w), y.view(), scratch);
    const auto signs = y.codes();
    for (std::size_t i = 0; i < signs.size(); ++i) REQUIRE(signs[i] == (sums[i] < 0 ? -1 : 1));
  }
}

TEST_CASE("matrix: explain says that narrow rows are unpacked") {
  sparq_test::random_source random;
  const auto w = pack(sparq_test::random_tensor<dense, s8>({16, 32}, sparq_test::value_style::any, random));
  const auto how =
      explain_gemm(narrow_matrix_view<const u4>(nullptr, 9, 32), w, narrow_matrix_view<s4>(nullptr, 9, 16));
  CHECK(how.x_access.find("unpacked") != std::string::npos);
  workspace scratch;
  std::byte bytes[16]{};
  const status overlapping = try_gemm(narrow_matrix_view<const u4>(bytes, 1, 32, 15), w,
                                      narrow_matrix_view<s4>(bytes, 1, 16),
                                      epilogue(requantize_to_codes<s4>(floor_shift::parameters{})), serial, scratch);
  CHECK(overlapping.message().find("stride") != std::string::npos);
}
