// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/kernel/epilogue/tile_target.hpp>
#include <sparq/kernel/loop/column_loop.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <cmath>
#include <cstring>
#include <vector>

using namespace sparq;

namespace {

/// Row i of X is i + 1 everywhere, so that a row at the wrong place shows.
/// `target`: y, or what stores to it.
template <class Loop, class Source, class Y, class Target>
void check_range(const Source& source, Y y, Target target, std::vector<std::int32_t>& elements, std::size_t n) {
  constexpr std::size_t m = 199, k = 20, m0 = 2, m1 = 192, s0 = 3, s1 = 17;
  std::vector<std::int8_t> codes(n * k);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 5 + i / k % 3);
  const auto w = pack(encode_codes<csr, s8, per_tensor>(codes, {n, k}, {1.0F}));
  const Loop loop(w.view(), source, target, {});
  REQUIRE(loop.strips() == 19);
  aligned_buffer scratch(loop.scratch_bytes(m1 - m0));
  std::memset(scratch.data(), 0xcd, scratch.size());
  elements.assign(elements.size(), -1);
  loop.run(m0, m1, s0, s1, scratch.data());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const bool inside = i >= m0 && i < m1 && j >= s0 * 16 && j < s1 * 16;
      std::int32_t sum = 0;
      for (std::size_t q = 0; q < k; ++q) sum += codes[j * k + q] * static_cast<std::int32_t>(i + 1);
      REQUIRE(y(i, j) == (inside ? sum : -1));
    }
}

using weights = packed_view_of<tensor<csr, s8, per_tensor>>;
using atom = atom_for<u8, s8, default_column_shape<s8>>;

}  // namespace

TEST_CASE("column_loop: a range of rows and strips leaves the rest of Y alone") {
  constexpr std::size_t m = 199, n = 300, k = 20;
  std::vector<std::uint8_t> x(m * k);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint8_t>(i / k + 1);
  std::vector<std::int32_t> y(m * n);
  using source = strided_rows<std::uint8_t>;
  using view = matrix_view<std::int32_t>;
  check_range<column_loop<weights, atom, source, view, epilogue<>>>(
      source{matrix_view<const std::uint8_t>(x.data(), m, k)}, view(y.data(), m, n), view(y.data(), m, n), y, n);
}

TEST_CASE("column_loop: the same by columns") {
  constexpr std::size_t m = 199, n = 300, k = 20;
  std::vector<std::uint8_t> x(m * k);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint8_t>(i % m + 1);
  std::vector<std::int32_t> y(m * n);
  using source = k_major_rows<std::uint8_t>;
  using view = k_major_view<std::int32_t>;
  const source x_source{k_major_view<const std::uint8_t>(x.data(), m, k)};
  const view y_view(y.data(), m, n);
  check_range<column_loop<weights, atom, source, view, epilogue<>>>(x_source, y_view, y_view, y, n);
  const epilogue<> none;
  check_range<column_loop<weights, atom, source, tile_target<std::int32_t>, stages_of_target>>(
      x_source, y_view, tile_target_of<std::int32_t>(y_view, none), y, n);
}

namespace {

/// A long k, cut into sections or not: rows beyond those packed together, channels beyond a chunk, sums bit by bit.
template <class X, class Numeric>
void check_long_k(std::size_t k = 1157, double density = 0.3, bool is_cut = true) {
  constexpr std::size_t m = 70, n = 150;
  sparq_test::random_source random;
  INFO(Numeric::name << ", " << random.text());
  mask keep({n, k}, false);
  for (std::size_t i = 0; i < n * k; ++i) keep.data()[i] = random.chance(i / k < 20 ? 3 * density : density);
  const auto w = sparq_test::random_tensor<csr, Numeric>(keep, sparq_test::value_style::any, random);
  const auto packed_w = pack(w);
  REQUIRE((packed_w.view().sections_per_panel() > 1) == is_cut);
  std::vector<typename X::code> x(m * k);
  sparq_test::fill_codes<X>(x, sparq_test::value_style::any, random);
  const matrix_view<const typename X::code> x_view(x.data(), m, k);
  using loop_atom = atom_for<X, Numeric, default_column_shape<Numeric>>;
  using sum = typename loop_atom::acc_type;
  std::vector<sum> y(m * n, sum{-1});
  const matrix_view<sum> y_view(y.data(), m, n);
  const column_loop<decltype(packed_w.view()), loop_atom, strided_rows<typename X::code>, matrix_view<sum>, epilogue<>>
      loop(packed_w.view(), {x_view}, y_view, {});
  if (!is_cut) CHECK(loop.cached_rows() < m);
  aligned_buffer scratch(loop.scratch_bytes(m));
  std::memset(scratch.data(), 0xcd, scratch.size());
  loop.run(0, m, 0, loop.strips(), scratch.data());
  const auto want = reference_gemm(x_view, w.view());
  for (std::size_t i = 0; i < y.size(); ++i) {
    if constexpr (Numeric::is_integer)
      REQUIRE(y[i] == want[i]);
    else
      REQUIRE(std::abs(y[i] - want[i]) <= 1e-5F * static_cast<float>(k));
  }
}

}  // namespace

TEST_CASE("column_loop: sections of a long k are decoded one by one") {
  check_long_k<u8, s8>();
  check_long_k<u8, s4>();
  check_long_k<f32, f32>();
}

TEST_CASE("column_loop: floats that are not decoded meet fewer rows of a long k at once") {
  check_long_k<f32, f32>(3001, 0.04, false);
  check_long_k<f32, f32>(9001, 0.01, false);
}

namespace {

/// Rows of which the last block has at most eight, and k's beyond those that 16 rows keep in the first-level cache.
template <class X, class W>
void check_few_rows(std::size_t m, sparq_test::random_source& random) {
  using x_code = typename X::code;
  constexpr std::size_t n = 22, k = 1099;
  std::vector<typename W::code> codes(n * k);
  for (auto& code : codes)
    if (random.chance(0.4)) code = sparq_test::random_code<W>(sparq_test::value_style::extremes, random);
  const auto w = encode_codes<csr, W, per_tensor>(codes, {n, k}, {1.0F});
  const auto packed = pack(w, for_rows{m});
  std::vector<x_code> rows(m * k), columns(m * k);
  sparq_test::fill_codes<X>(rows, sparq_test::value_style::extremes, random);
  for (std::size_t i = 0; i < rows.size(); ++i) columns[i % k * m + i / k] = rows[i];
  const matrix_view<const x_code> x(rows.data(), m, k);
  const auto want = reference_gemm(x, w.view());

  std::vector<std::int32_t> y(m * n);
  const auto run = [&]<class Source>(const Source& source) {
    using view = matrix_view<std::int32_t>;
    using packed_type = decltype(packed.view());
    const column_loop<packed_type, atom_for<X, W, default_column_shape<W>>, Source, view, epilogue<>> loop(
        packed.view(), source, view(y.data(), m, n), {});
    aligned_buffer scratch(loop.scratch_bytes(m));
    std::memset(scratch.data(), 0xcd, scratch.size());
    y.assign(y.size(), -1);
    loop.run(0, m, 0, loop.strips(), scratch.data());
    INFO(m << " rows");
    CHECK(std::equal(y.begin(), y.end(), want.begin()));
  };
  run(strided_rows<x_code>{x});
  run(k_major_rows<x_code>{k_major_view<const x_code>(columns.data(), m, k)});
}

}  // namespace

TEST_CASE("column_loop: a long k and a last block of few rows") {
  sparq_test::random_source random(1);
  for (const std::size_t m : {3U, 7U, 8U, 9U, 21U, 24U, 69U}) {
    check_few_rows<u8, s8>(m, random);
    check_few_rows<s8, s8>(m, random);
    check_few_rows<s8, u8>(m, random);
  }
}
