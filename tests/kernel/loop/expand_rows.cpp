// SPDX-License-Identifier: MIT
#include <sparq/format/bitmask.hpp>
#include <sparq/kernel/loop/expand_loop.hpp>
#include <sparq/kernel/loop/expand_rows.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

TEST_CASE("expand_rows: few rows, four strips and single ones, any number of bits in a mask") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t m = 1; m <= expanded_rows + 1; ++m)
    for (const std::size_t n : {5U, 16U, 64U, 130U}) {
      const std::size_t k = 1 + random.below(700), kept = random.below(9);
      std::vector<std::int8_t> codes(n * k);
      for (auto& code : codes)
        code = random.below(8) < kept ? static_cast<std::int8_t>(random.below(256)) : std::int8_t{};
      std::vector<std::uint8_t> x(m * k);
      for (auto& code : x) code = static_cast<std::uint8_t>(random.below(256));
      const auto w = pack<bitmask_shape<16, 4>>(encode_codes<bitmask, s8, per_tensor>(codes, {n, k}, {1.0F}));
      std::vector<std::int32_t> y(m * n, -1);
      using atom = atom_for<u8, s8, bitmask_shape<16, 4>>;
      const expand_loop<decltype(w.view()), atom, strided_rows<std::uint8_t>, matrix_view<std::int32_t>, epilogue<>>
          loop(w.view(), {matrix_view<const std::uint8_t>(x.data(), m, k)}, matrix_view<std::int32_t>(y.data(), m, n),
               {});
      const bool in_registers = machine::multiplies_expanded_v<atom> && m <= expanded_rows;
      CHECK(loop.loop_name() == (in_registers ? "rows, expanding in registers" : "rows, expanding"));
      aligned_buffer scratch(loop.scratch_bytes(m));
      loop.run(0, m, 0, loop.strips(), scratch.data());
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          std::int32_t sum = 0;
          for (std::size_t q = 0; q < k; ++q) sum += x[i * k + q] * codes[j * k + q];
          REQUIRE(y[i * n + j] == sum);
        }
    }
}
