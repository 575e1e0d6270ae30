// SPDX-License-Identifier: MIT
// Bits of many rows: which products take tables, and sums at both ends of what 16 bits hold. Sizes:
// tests/op/matrix_bits.cpp.
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/loop/bit_table_loop.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;

namespace {

constexpr bool has_tables_of_bits = native_isa.has(feature::avx2) && !SPARQ_HAS_AVX512VPOPCNTDQ;

/// W holds only `code` and X only `x`: every sum is their product k times.
template <class W>
void check_constant(std::size_t m, std::size_t n, std::size_t k, std::int8_t code, std::int8_t x) {
  const std::vector<typename W::code> codes(n * k, static_cast<typename W::code>(code));
  const auto w = pack<bit_panel_shape>(encode_codes<dense, W, per_tensor>(codes, {n, k}, {1.0F}));
  const std::vector<std::byte> bits(m * storage_bytes<binary>(k), x < 0 ? std::byte{0xff} : std::byte{0});
  std::vector<std::int32_t> y(m * n, -7);
  workspace scratch;
  gemm(narrow_matrix_view<const binary>(bits.data(), m, k), w, matrix_view<std::int32_t>(y.data(), m, n), scratch);
  INFO(std::string(W::name) << " k " << k << ", w " << int{code} << ", x " << int{x});
  REQUIRE(y == std::vector<std::int32_t>(m * n, static_cast<std::int32_t>(k) * code * x));
}

template <class W>
std::string loop_of(std::size_t m, std::size_t k) {
  const auto w =
      pack<bit_panel_shape>(encode_codes<dense, W, per_tensor>(std::vector<std::int8_t>(k, 1), {1, k}, {1.0F}));
  const std::vector<std::byte> bits(m * storage_bytes<binary>(k));
  std::vector<std::int32_t> y(m);
  const narrow_matrix_view<const binary> x(bits.data(), m, k);
  return std::string(explain_gemm(x, w, matrix_view<std::int32_t>(y.data(), m, 1)).loop);
}

}  // namespace

TEST_CASE("bit_table_loop: the largest counts") {
  for (const std::size_t k : {20992u, 20999u, 21000u, 21023u})  // on both sides of its last k
    for (const std::int8_t x : {std::int8_t{-1}, std::int8_t{1}}) {
      check_constant<binary>(17, 1, k, 1, x);
      check_constant<binary>(17, 1, k, -1, x);
      check_constant<ternary>(17, 1, k, -1, x);
      check_constant<s2>(17, 1, k, -2, x);
      check_constant<s2>(17, 1, k, 1, x);
      check_constant<u2>(17, 1, k, 3, x);
    }
}

TEST_CASE("bit_table_loop: takes many rows, and no counts beyond 16 bits") {
  const std::string tables = has_tables_of_bits ? "rows, counting by tables" : "rows";
  CHECK(loop_of<binary>(8, 64) == tables);
  CHECK(loop_of<binary>(7, 64) == "rows");
  CHECK(loop_of<ternary>(16, 64) == tables);
  CHECK(loop_of<ternary>(15, 64) == "rows");
  CHECK(loop_of<binary>(8, 20999) == tables);
  CHECK(loop_of<binary>(8, 21000) == "rows");
}
