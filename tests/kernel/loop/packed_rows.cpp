// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/loop/packed_rows.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <vector>

using namespace sparq;

namespace {

using rows_atom = atom_for<u8, s8, default_panel_shape<s8>>;

std::vector<std::uint8_t> random_bytes(std::size_t count) {
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<std::uint8_t> x(count);
  for (std::uint8_t& v : x) v = static_cast<std::uint8_t>(random.below(256));
  return x;
}

/// A row as the atom packs it, zeros behind.
std::vector<rows_atom::packed_x> in_order_of_words(const std::vector<std::uint8_t>& row, std::size_t elements) {
  std::vector<rows_atom::packed_x> result(elements + 64);
  rows_atom::pack_row(row.data(), row.size(), true, result.data());
  result.resize(elements);
  return result;
}

/// Rows of a panel that keeps every other k.
template <class Rows>
void check_compacted([[maybe_unused]] const Rows& rows, [[maybe_unused]] const packed_panel& panel,
                     [[maybe_unused]] const std::vector<std::uint8_t>& x, [[maybe_unused]] std::size_t k) {
  if constexpr (Rows::shares_positions) {
    const std::size_t first = 3, count = rows.at_once(), some = rows.compacted_at_once();
    aligned_buffer scratch(rows.bytes(count) + rows.buffer_bytes() + 64);
    auto* to = reinterpret_cast<rows_atom::packed_x*>(scratch.data());
    std::byte* buffers = scratch.data() + rows.bytes(count);
    rows.pack(first, count, to, buffers);
    const auto by = rows.compacting_for(panel, buffers);
    const auto [at, stride] = rows.at(first, to);
    for (std::size_t r0 = 0; r0 < count; r0 += some) {
      const std::size_t here = (std::min)(some, count - r0);
      rows.compact_to(by, panel, first, count, r0, here, to, buffers);
      for (std::size_t r = 0; r < here; ++r) {
        std::vector<std::uint8_t> kept;
        for (std::size_t q = 1; q < k; q += 2) kept.push_back(x[(first + r0 + r) * k + q]);
        kept.resize(kept.size() / rows_atom::group_k * rows_atom::group_k);  // a place without a weight holds anything
        const std::vector<rows_atom::packed_x> got(at + r * stride, at + r * stride + kept.size());
        REQUIRE(got == in_order_of_words(kept, kept.size()));
      }
    }
  }
}

}  // namespace

TEST_CASE("packed_rows: rows lie behind each other, with zeros behind their k's, or stay where they are") {
  constexpr std::size_t m = 7, n = 16;
  for (const std::size_t k : {1u, 21u, 64u}) {
    const std::vector<std::uint8_t> x = random_bytes(m * k);
    const auto w = pack(encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(n * k, 1), {n, k}, {1.0F}));
    const packed_rows<decltype(w.view()), rows_atom, strided_rows<std::uint8_t>> rows(
        w.view(), {matrix_view<const std::uint8_t>(x.data(), m, k)}, 1);
    REQUIRE(rows.at_once() >= 4);
    aligned_buffer scratch(rows.bytes(3) + rows.buffer_bytes() + 64);
    auto* to = reinterpret_cast<rows_atom::packed_x*>(scratch.data());
    rows.pack(2, 3, to, scratch.data() + rows.bytes(3));
    const auto [at, stride] = rows.at(2, to);
    if (rows.in_place()) {
      REQUIRE(rows.bytes(3) == 0);
      REQUIRE(static_cast<const void*>(at) == x.data() + 2 * k);
      REQUIRE(stride == k);
      continue;
    }
    REQUIRE(rows.bytes(3) >= 3 * stride * sizeof *at);
    for (std::size_t r = 0; r < 3; ++r) {
      const auto first = x.begin() + static_cast<std::ptrdiff_t>((2 + r) * k);
      const std::vector<std::uint8_t> row(first, first + static_cast<std::ptrdiff_t>(k));
      REQUIRE(std::vector<rows_atom::packed_x>(at + r * stride, at + (r + 1) * stride) == in_order_of_words(row, stride));
    }
  }
}

TEST_CASE("packed_rows: a panel that lists its k's gets them, in order") {
  constexpr std::size_t m = 3, n = 16, k = 70;
  const std::vector<std::uint8_t> x = random_bytes(m * k);
  std::vector<std::int8_t> codes(n * k);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = i % k % 3 == 1;
  const auto w = pack(encode_codes<tile_wise<16>, s8, per_tensor>(codes, {n, k}, {1.0F}));
  const packed_rows<decltype(w.view()), rows_atom, strided_rows<std::uint8_t>> rows(
      w.view(), {matrix_view<const std::uint8_t>(x.data(), m, k)}, 1);
  aligned_buffer scratch(rows.bytes(2) + rows.buffer_bytes() + 64);
  auto* to = reinterpret_cast<rows_atom::packed_x*>(scratch.data());
  rows.compact_to(w.view().panels()[0], 1, 2, to, scratch.data() + rows.bytes(2));
  const auto [at, stride] = rows.at(1, to);
  REQUIRE_FALSE(rows.in_place());
  for (std::size_t r = 0; r < 2; ++r) {
    std::vector<std::uint8_t> kept;
    for (std::size_t q = 1; q < k; q += 3) kept.push_back(x[(1 + r) * k + q]);
    const std::size_t elements = round_up(kept.size(), rows_atom::group_k);
    REQUIRE(std::vector<rows_atom::packed_x>(at + r * stride, at + r * stride + elements) ==
            in_order_of_words(kept, elements));
  }
}

TEST_CASE("packed_rows: a panel whose channels share positions gets their k's, some rows at a time, or X permuted") {
  constexpr std::size_t m = 150, n = 16;
  for (const std::size_t k : {256u, 96u, 70u}) {
    const std::vector<std::uint8_t> x = random_bytes(m * k);
    std::vector<std::int8_t> codes(n * k);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = i % k % 4 == 1 || i % k % 4 == 3;
    const auto w = pack(encode_codes<tile_n_m<16, 2, 4>, s8, per_tensor>(codes, {n, k}, {1.0F}));
    using rows_of_x = packed_rows<decltype(w.view()), rows_atom, strided_rows<std::uint8_t>>;
    REQUIRE(rows_of_x::permutes != rows_of_x::shares_positions);
    aligned_buffer memory(x.size() + 64);
    std::size_t bytes = 0;
    for (const std::size_t offset : {0u, 16u, 63u}) {  // rows that begin with lines may be read where they are
      auto* at = reinterpret_cast<std::uint8_t*>(memory.data()) + offset;
      std::copy(x.begin(), x.end(), at);
      const rows_of_x rows(w.view(), {matrix_view<const std::uint8_t>(at, m, k)}, 1);
      check_compacted(rows, w.view().panels()[0], x, k);
      if (offset == 0) bytes = rows.bytes(m);
      CHECK(rows.bytes(m) == bytes);  // a workspace suffices wherever X begins
    }
  }
}
