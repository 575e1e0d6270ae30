// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/kernel/column_loop.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

namespace {

/// Row i of X is i + 1 everywhere, so that a row at the wrong place shows.
template <class Loop, class Source, class Y>
void check_range(const Source& source, Y y, std::vector<std::int32_t>& elements, std::size_t n) {
  constexpr std::size_t m = 199, k = 20, m0 = 2, m1 = 192, s0 = 3, s1 = 17;
  std::vector<std::int8_t> codes(n * k);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 5 + i / k % 3);
  const auto w = pack(encode_codes<csr, s8, per_tensor>(codes, {n, k}, {1.0F}));
  const Loop loop(w.view(), source, y, {});
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
      source{matrix_view<const std::uint8_t>(x.data(), m, k)}, view(y.data(), m, n), y, n);
}

TEST_CASE("column_loop: the same by columns") {
  constexpr std::size_t m = 199, n = 300, k = 20;
  std::vector<std::uint8_t> x(m * k);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint8_t>(i % m + 1);
  std::vector<std::int32_t> y(m * n);
  using source = k_major_rows<std::uint8_t>;
  using view = k_major_view<std::int32_t>;
  check_range<column_loop<weights, atom, source, view, epilogue<>>>(
      source{k_major_view<const std::uint8_t>(x.data(), m, k)}, view(y.data(), m, n), y, n);
}
