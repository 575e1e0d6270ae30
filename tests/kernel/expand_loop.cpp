// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/kernel/expand_loop.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

TEST_CASE("expand_loop: a range of rows and strips leaves the rest of Y alone") {
  constexpr std::size_t m = 4, n = 48, k = 300;
  std::vector<std::int8_t> codes(n * k);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 7 % 5);
  const std::vector<std::uint8_t> x(m * k, 1);
  const auto w = pack<bitmask_shape<16, 4>>(encode_codes<csr, s8, per_tensor>(codes, {n, k}, {1.0F}));
  std::vector<std::int32_t> y(m * n, -1);
  using atom = atom_for<u8, s8, bitmask_shape<16, 4>>;
  const expand_loop<decltype(w.view()), atom, strided_rows<std::uint8_t>, matrix_view<std::int32_t>, epilogue<>> loop(
      w.view(), {matrix_view<const std::uint8_t>(x.data(), m, k)}, matrix_view<std::int32_t>(y.data(), m, n), {});
  REQUIRE(loop.strips() == 3);
  aligned_buffer scratch(loop.scratch_bytes(2));
  loop.run(1, 3, 1, 2, scratch.data());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const bool inside = i >= 1 && i < 3 && j >= 16 && j < 32;
      std::int32_t sum = 0;
      for (std::size_t q = 0; q < k; ++q) sum += codes[j * k + q];
      REQUIRE(y[i * n + j] == (inside ? sum : -1));
    }
}
