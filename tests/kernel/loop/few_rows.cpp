// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/few_rows.hpp>
#include <sparq/kernel/loop/rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <vector>

using namespace sparq;

namespace {

/// u8 x N for m rows against plain sums, extreme codes included; "" or what differs.
template <class N>
std::string few_rows_problem(std::size_t m, std::size_t n, std::size_t k, sparq_test::random_source& random) {
  constexpr int low = N::min_code, span = N::max_code - N::min_code + 1;
  std::vector<typename N::code> codes(n * k);
  for (auto& code : codes)
    code = static_cast<typename N::code>(random.below(4) == 0 ? low : low + static_cast<int>(random.below(span)));
  std::vector<std::uint8_t> x(m * k);
  for (auto& value : x) value = static_cast<std::uint8_t>(random.below(3) == 0 ? 255 : random.below(256));
  const auto w = pack(encode_codes<dense, N, per_tensor>(codes, {n, k}, {1.0F}));
  std::vector<std::int32_t> y(m * n, -1);
  workspace scratch;
  gemm(matrix_view<const std::uint8_t>(x.data(), m, k), w, matrix_view<std::int32_t>(y.data(), m, n), scratch);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t c = 0; c < n; ++c) {
      std::int32_t sum = 0;
      for (std::size_t j = 0; j < k; ++j) sum += x[i * k + j] * codes[c * k + j];
      if (y[i * n + c] != sum) return "row " + std::to_string(i) + ", channel " + std::to_string(c);
    }
  return "";
}

}  // namespace

TEMPLATE_TEST_CASE("few_rows: every number of channels around four strips and eight, and of groups around a part", "", s8, u8,
                   s4) {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t m = 1; m <= 9; ++m)
    for (std::size_t n = m == 1 ? 1 : 60; n <= 210; n += m == 1 ? 1 : 7)
      for (const std::size_t k :
           {std::size_t{1}, std::size_t{31}, std::size_t{32}, std::size_t{33}, 1 + random.below(300)}) {
        INFO("m " << m << ", n " << n << ", k " << k);
        REQUIRE(few_rows_problem<TestType>(m, n, k, random) == "");
      }
}

TEST_CASE("few_rows: blocks that ask for the next weights compute what others do") {
  using atom = atom_for<u8, s8, panel_shape<16, 4>>;
  constexpr std::size_t rows = atom::block_rows, registers = (std::min)(blocking<atom>::registers, 16 / atom::lanes);
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t groups : {1u, 3u, 18u}) {
    std::vector<std::uint32_t> words(groups * 16);
    for (auto& word : words) word = static_cast<std::uint32_t>(random.below(std::size_t{1} << 32));
    const std::size_t ldx = groups * 4 + 64;
    std::vector<typename atom::packed_x> x(rows * ldx);
    for (auto& value : x) value = static_cast<typename atom::packed_x>(random.below(256));
    block_weights w;
    w.words = words.data();
    w.strip_words = w.ahead = words.size();
    w.groups = groups;
    std::vector<std::int32_t> y(rows * 16, -1), asked(rows * 16, -2), asked_in_strip(rows * 16, -3);
    rows_block<atom, s8, panel_shape<16, 4>, contiguous, all, rows, registers>(x.data(), ldx, w, y.data(), 16);
    rows_block<machine::asking_atom<atom>, s8, panel_shape<16, 4>, contiguous, all, rows, registers>(x.data(), ldx, w,
                                                                                                     asked.data(), 16);
    rows_block<machine::strip_asking_atom<atom>, s8, panel_shape<16, 4>, contiguous, all, rows, registers>(
        x.data(), ldx, w, asked_in_strip.data(), 16);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < registers * atom::lanes; ++c) {
        REQUIRE(asked[r * 16 + c] == y[r * 16 + c]);
        REQUIRE(asked_in_strip[r * 16 + c] == y[r * 16 + c]);
      }
  }
}

TEST_CASE("few_rows: tall blocks ask for weights that caches may have lost") {
  CHECK(machine::asked_for_weights_of(machine::near_bytes) == machine::asked::nothing);
  CHECK(machine::asked_for_weights_of(machine::near_bytes + 1) == machine::asked::strip);
  CHECK(machine::asked_for_weights_of(machine::far_bytes) == machine::asked::strip);
  CHECK(machine::asked_for_weights_of(machine::far_bytes + 1) == machine::asked::next_strip);
}

TEST_CASE("few_rows: the turns of the next block are asked for once each, but for the few that four quarters leave") {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<int> asked(n);
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(machine::spread_turn(i, n) < n);
      ++asked[machine::spread_turn(i, n)];
    }
    CHECK(std::ranges::count(asked, 0) <= 3);
    CHECK(std::ranges::count_if(asked, [](int times) { return times > 1; }) <= 3);
  }
}
