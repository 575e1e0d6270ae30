// SPDX-License-Identifier: MIT
// Which form of the rows loop runs, and that it stays in its range.
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/rows_loop.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;

namespace {

template <numeric N>
auto ones(weight_shape shape) {
  if constexpr (has_tables<N>)
    return pack(tensor<dense, N>(dense::index<owned>{shape}, aligned_buffer(shape.n * shape.k / 2),
                                 std::vector<float>(shape.n, 1.0F), std::vector<std::int8_t>(16, 1)));
  else
    return pack(encode_codes<dense, N>(std::vector<std::int8_t>(shape.n * shape.k, 1), shape,
                                       std::vector<float>(shape.n, 1.0F)));
}

template <numeric N>
void check_range(std::size_t m) {
  constexpr std::size_t n = 48, k = 70;
  const auto w = ones<N>({n, k});
  const std::vector<std::uint8_t> x(m * k, 3);
  std::vector<std::int32_t> y(m * n, -1);
  using shape = typename decltype(w.view())::shape_type;
  const rows_loop<decltype(w.view()), atom_for<u8, N, shape>, strided_rows<std::uint8_t>, matrix_view<std::int32_t>,
                  epilogue<>>
      loop(w.view(), {matrix_view<const std::uint8_t>(x.data(), m, k)}, matrix_view<std::int32_t>(y.data(), m, n), {});
  REQUIRE(loop.strips() == 3);
  aligned_buffer scratch(loop.scratch_bytes(1));
  loop.run(m - 1, m, 1, 2, scratch.data());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) REQUIRE(y[i * n + j] == (i == m - 1 && j >= 16 && j < 32 ? 210 : -1));
}

}  // namespace

TEST_CASE("rows_loop: every form leaves the rest of Y alone") {
  for (const std::size_t m : {1u, 2u, 4u, 5u, 9u}) {
    INFO("m " << m);
    check_range<s8>(m);
    check_range<codebook<4>>(m);
  }
}

TEST_CASE("rows_loop: explanations name the form that runs") {
  if constexpr (native_isa.has(feature::avx2)) {
    const auto looked_up = ones<codebook<4>>({16, 64});
    CHECK(explain_gemm<std::uint8_t, std::int32_t>(1, looked_up).loop == "rows, looking up");
    CHECK(explain_gemm<std::uint8_t, std::int32_t>(looked_up_rows + 1, looked_up).loop == "rows");
  }
}
