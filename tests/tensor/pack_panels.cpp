// SPDX-License-Identifier: MIT
#include <sparq/compress/prune.hpp>
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/checks.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>
#include <sparq/tensor/pack_panels.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

using namespace sparq;

namespace {

/// Two of every four k's for all channels, of which each stores what it needs, its last k first.
struct backward_pairs {
  using k_map = n_m_shared<2, 4>;
  using row_select = all;
  static std::string name() { return "backward_pairs"; }

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint8_t> kept;  // n x k

    auto arrays() const { return std::tie(kept); }
    auto arrays() { return std::tie(kept); }
    std::size_t slots() const { return shape.size(); }
    std::size_t panels() const { return 1; }
    channel_range panel(std::size_t) const { return {0, shape.n}; }
    template <class Visit>
    void for_each_slot(std::size_t, Visit&& visit) const {
      for (std::size_t slot = shape.size(); slot-- > 0;)
        if (kept[slot] != 0) visit(slot, slot / shape.k, slot % shape.k);
    }
    status validate() const { return check_size(name() + ": kept", kept.size(), shape.size()); }
  };
  static expected<index<owned>> from_mask(mask_view keep) {
    return index<owned>{keep.shape, {keep.keep, keep.keep + keep.shape.size()}};
  }
};

/// Stores every weight, and promises less.
template <class KMap, class RowSelect>
struct promises_pattern : dense {
  using k_map = KMap;
  using row_select = RowSelect;
};

struct list_promises_less : tile_wise<8, n_m<2, 4>> {
  using row_select = n_m_select<1, 4>;
};

template <class KMap, class RowSelect, numeric N>
std::string broken_promise() {
  using format = promises_pattern<KMap, RowSelect>;
  const auto w = encode<format, N>(std::vector<float>(18 * 70, 1.0F), {18, 70});
  const auto packed = try_pack(w);
  REQUIRE(!packed.ok());
  std::vector<std::byte> block(packed_bytes(w) + alignment, std::byte{0x5a});
  const std::vector<std::byte> before = block;
  const std::size_t skipped = -reinterpret_cast<std::uintptr_t>(block.data()) % alignment;
  CHECK(!try_pack_into(w, std::span(block).subspan(skipped)).ok());
  CHECK(block == before);
  return packed.error().message();
}

}  // namespace

TEST_CASE("pack_panels: a format whose slots break its N:M pattern is refused") {
  CHECK(broken_promise<contiguous, n_m_select<2, 4>, s8>() ==
        "pack: panel 0 of dense: [n=0][k=2] is more than 2 of 4 k's, which its policies promise; "
        "check_format tests that");
  CHECK(broken_promise<contiguous, n_m_select<1, 4>, s4>().find("[n=0][k=1] is more than 1 of 4") != std::string::npos);
  CHECK(broken_promise<contiguous, n_m_select<7, 8>, f32>().find("[n=0][k=7] is more than 7 of 8") !=
        std::string::npos);
  CHECK(broken_promise<n_m_shared<2, 4>, all, s8>().find("[n=0][k=2] is more than 2 of 4") != std::string::npos);
  CHECK(broken_promise<n_m_shared<4, 16>, all, bf16>().find("[n=0][k=4] is more than 4 of 16") != std::string::npos);
  const std::vector<float> weights(18 * 70, 1.0F);
  const mask half = prune<tile_wise<8, n_m<2, 4>>>(weights, {18, 70}, 0.5);
  CHECK(try_pack(encode<list_promises_less, s8>(weights, {18, 70}, half)).error().message().find(
            "[n=0][k=1] is more than 1 of 4") != std::string::npos);
  CHECK(try_pack(encode<promises_pattern<contiguous, n_m_select<4, 4>>, s8>(weights, {18, 70})).ok());
  CHECK(try_pack(encode<promises_pattern<n_m_shared<4, 4>, all>, s8>(weights, {18, 70})).ok());
}

TEST_CASE("pack_panels: words hold four codes of a channel, strips sixteen channels") {
  std::vector<std::int8_t> codes(17 * 5);
  std::iota(codes.begin(), codes.end(), std::int8_t{1});
  const auto w_block = pack(encode_codes<dense, s8, per_tensor>(codes, {17, 5}, {1.0F}));
  const auto w = w_block.view();
  REQUIRE(w.words().size() == 2 * 2 * 16);
  CHECK(w.words()[0] == 0x04030201);          // channel 0, k 0..3
  CHECK(w.words()[1] == 0x09080706);          // channel 1
  CHECK(w.words()[16] == 0x00000005);         // channel 0, k 4 and padding
  CHECK(w.words()[2 * 16] == 0x54535251);     // the second strip: channel 16
  CHECK(w.words()[2 * 16 + 1] == 0);          // channels beyond n are zero
  CHECK(w.weight_sums()[1] == 6 + 7 + 8 + 9 + 10);
}

TEST_CASE("pack_panels: two groups of s4 share a word") {
  const std::vector<std::int8_t> codes = {1, 2, 3, 4, -1, -2, -3, -4};
  const auto w_block = pack(encode_codes<dense, s4, per_tensor>(codes, {1, 8}, {1.0F}));
  const auto w = w_block.view();
  REQUIRE(w.words().size() == 16);
  CHECK(w.words()[0] == 0xc4d3e2f1);
}

TEST_CASE("pack_panels: runs that no channel uses are left out, and so are channels without weights") {
  std::vector<std::int8_t> codes(64 * 32);
  codes[3 * 32 + 9] = 7;  // channel 3, run of k 8..11
  const auto blocks_block = pack(encode_codes<block<64, 4>, s8, per_tensor>(codes, {64, 32}, {1.0F}));
  const auto blocks = blocks_block.view();
  REQUIRE(blocks.panels().size() == 1);
  CHECK(blocks.panels()[0].groups == 1);
  CHECK(blocks.addresses()[0] == 8);
  CHECK(blocks.panels()[0].kept == 64);  // the block stores all its channels

  const auto tiles_block = pack(encode_codes<tile_wise<8>, s8, per_tensor>(codes, {64, 32}, {1.0F}));
  const auto tiles = tiles_block.view();
  REQUIRE(tiles.panels().size() == 1);
  CHECK(tiles.panels()[0].channels == 64);
  CHECK(tiles.panels()[0].kept == 1);
  CHECK(tiles.kept_channels()[0] == 3);
  CHECK(tiles.mask()[0] == std::uint64_t{1} << 9);
}

TEST_CASE("pack_panels: a panel without weights keeps its channels, which need no groups") {
  std::vector<std::int8_t> codes(32 * 8);
  codes[20 * 8] = 1;
  const auto w_block = pack<default_panel_shape<s8>>(encode_codes<csr, s8, per_tensor>(codes, {32, 8}, {1.0F}));
  const auto w = w_block.view();
  REQUIRE(w.panels().size() == 2);
  CHECK(w.panels()[0].kept == 16);
  CHECK(w.panels()[0].groups == 0);
  CHECK(w.panels()[1].groups == 1);
}

TEST_CASE("pack_panels: channels use what they need of a pattern that they share, in any order") {
  const std::vector<std::int8_t> codes = {0, 5, 0, 6, 0, 8, 0, 0, 0,   // k 1 and 3, 5
                                          0, 0, 0, 7, 9, 0, 0, 0, 3};  // k 3, 4, 8
  const auto w_block = pack(encode_codes<backward_pairs, s8, per_tensor>(codes, {2, 9}, {1.0F}));
  const auto w = w_block.view();
  REQUIRE(w.panels()[0].groups == 2);  // eight k's each
  CHECK(std::vector(w.selects().begin(), w.selects().end()) == std::vector<std::uint8_t>{1, 3, 4, 5, 0, 0, 0, 0});
  CHECK(w.words()[0] == 0x08000605);
  CHECK(w.words()[1] == 0x00090700);
  CHECK(w.words()[16] == 0);
  CHECK(w.words()[17] == 3);
}

TEST_CASE("pack_panels: eight groups of binary share a word, the sign bits of their codes") {
  std::vector<std::int8_t> codes(40, 1);
  codes[0] = codes[5] = codes[38] = -1;
  const auto w_block = pack(encode_codes<dense, binary, per_tensor>(codes, {1, 40}, {1.0F}));
  const auto w = w_block.view();
  REQUIRE(w.words().size() == 2 * 16);
  CHECK(w.words()[0] == 0x00000201);   // k 0: byte 0, bit 0; k 5: byte 1, bit 1
  CHECK(w.words()[16] == 0x00020000);  // k 38: group 9, byte 2
  CHECK(w.weight_sums()[0] == 34);
  CHECK(w.slot_efficiency() == 1.0);
  CHECK(w.layout_name() == "contiguous all binary per_tensor 16x4");
}

namespace {

/// Packing codes of N equals packing the same codes of the type that kernels hold for N, byte by byte.
template <class Format, class N>
void check_packs_as_others(sparq_test::random_source& random) {
  using stored = typename packed_view_of<tensor<Format, N>>::numeric_type;
  const weight_shape shape{1 + random.below(40), 1 + random.below(90)};
  const auto w = sparq_test::random_tensor<Format, N>(shape, sparq_test::value_style::any, random);
  aligned_buffer values(storage_bytes<stored>(w.index().slots()));
  for (std::size_t slot = 0; slot < w.index().slots(); ++slot)
    store_code<stored>(values.data(), slot, static_cast<typename stored::code>(load_code<N>(w.values().data(), slot)));
  const tensor<Format, stored> same(w.index(), std::move(values), {w.scales().begin(), w.scales().end()});
  const auto got = pack(w), want = pack(same);
  INFO(Format::name() << ' ' << N::name << ' ' << shape.n << " x " << shape.k);
  REQUIRE(std::ranges::equal(got.block(), want.block()));
}

}  // namespace

TEST_CASE("pack_panels: types for storage pack like the types that kernels hold") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 20; ++trial) {
    check_packs_as_others<dense, s3>(random);
    check_packs_as_others<dense, pow2<4>>(random);
    check_packs_as_others<csr, binary>(random);
    check_packs_as_others<csr, u6>(random);
    check_packs_as_others<block<16, 4>, s5>(random);
    check_packs_as_others<n_m<2, 4>, binary>(random);
    check_packs_as_others<n_m<2, 4>, ternary_dense5>(random);
    check_packs_as_others<tile_wise<8>, s7>(random);
    check_packs_as_others<tile_wise<8>, binary>(random);
    check_packs_as_others<tile_n_m<32, 2, 4>, u3>(random);
    check_packs_as_others<bitmask, pow2<3>>(random);
  }
}
