// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstring>
#include <string>
#include <vector>

using namespace sparq;

namespace {

template <class Format>
auto packed_example() {
  std::vector<std::int8_t> codes(40 * 70);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 7 == 0 ? i % 120 : 0);
  return pack(encode_codes<Format, s8, per_tensor>(codes, {40, 70}, {1.0F}));
}

/// Reads everything that a kernel would: any byte out of bounds is an error of the address sanitizer.
template <class View>
std::uint64_t read_all(const View& view) {
  std::uint64_t sum = 0;
  for (const packed_panel& panel : view.panels()) {
    for (std::size_t i = 0; i < panel.kept * panel.groups; ++i) sum += view.words()[panel.words + i];
    if (panel.kept < panel.channels)
      for (std::size_t i = 0; i < panel.kept; ++i) sum += view.kept_channels()[panel.kept_channels + i];
  }
  return sum;
}

}  // namespace

TEST_CASE("packed: a copied block is viewed as what it was, and as nothing else") {
  const auto w = packed_example<block<16, 4>>();
  aligned_buffer copy(w.bytes());
  std::memcpy(copy.data(), w.block().data(), w.bytes());
  using view_type = decltype(w.view());
  const auto view = view_type::from_bytes(copy.bytes());
  CHECK(view.shape() == weight_shape{40, 70});
  CHECK(view.format_name() == "block<16,4>");
  using other_type = decltype(packed_example<tile_wise<8>>())::view_type;
  CHECK(other_type::try_from_bytes(copy.bytes()).error().message().find("packed as \"runs all s8") !=
        std::string::npos);
}

TEST_CASE("packed: kept channels that do not ascend are refused") {
  std::vector<std::int8_t> codes(40 * 8, 0);
  codes[3 * 8] = codes[30 * 8] = 1;
  const auto w = pack(encode_codes<tile_wise<16>, s8, per_tensor>(codes, {40, 8}, {1.0F}));
  aligned_buffer copy(w.bytes());
  std::memcpy(copy.data(), w.block().data(), w.bytes());
  using view_type = decltype(w.view());
  auto* kept = const_cast<index_t*>(view_type::from_bytes(copy.bytes()).kept_channels().data());
  REQUIRE(kept[1] == 30);
  kept[1] = kept[0];
  CHECK(view_type::try_from_bytes(copy.bytes()).error().message() == "packed tensor: panel 0: kept channel 1 is 3");
}

TEST_CASE("packed: slot efficiency is the part of codes that are not 0") {
  std::vector<std::int8_t> codes(20 * 6, 0);
  for (std::size_t n = 0; n < 20; ++n) codes[n * 6] = static_cast<std::int8_t>(n % 2 == 0 ? 1 : -8);
  const auto s8_block = pack(encode_codes<dense, s8, per_tensor>(codes, {20, 6}, {1.0F}));
  CHECK(s8_block.view().slot_efficiency() == 20.0 / (32 * 8));  // 2 strips of 16 channels, 2 groups of 4 k's
  const auto s4_block = pack(encode_codes<dense, s4, per_tensor>(codes, {20, 6}, {1.0F}));
  CHECK(s4_block.view().slot_efficiency() == 20.0 / (32 * 8));
}

TEST_CASE("packed: every truncation is refused") {
  const auto w = packed_example<tile_wise<8>>();
  using view_type = decltype(w.view());
  for (std::size_t size = 0; size < w.bytes(); size += 13) {
    INFO("size " << size);
    CHECK_FALSE(view_type::try_from_bytes(w.block().first(size)).ok());
  }
}

TEST_CASE("packed: a panel of dense leaves no channel out, its outputs would not be written") {
  const auto w = packed_example<dense>();
  using view_type = decltype(w.view());
  aligned_buffer block(w.bytes());
  std::memcpy(block.data(), w.block().data(), w.bytes());
  auto& panel = const_cast<packed_panel&>(view_type::from_bytes(block.bytes()).panels()[0]);
  panel.kept = 30;
  CHECK(view_type::try_from_bytes(block.bytes()).error().message() ==
        "packed tensor: panel 0: keeps 30 of 40 channels");
}
TEST_CASE("packed: a damaged block is refused or stays in bounds") {
  sparq_test::random_source random;
  INFO(random.text());
  const auto check = [&](const auto& w) {
    using view_type = decltype(w.view());
    std::size_t refused = 0;
    for (int trial = 0; trial < 2000; ++trial) {
      aligned_buffer block(w.bytes());
      std::memcpy(block.data(), w.block().data(), w.bytes());
      const std::size_t at = random.below(random.chance(0.5) ? 1024 : w.bytes());
      block.data()[at] = static_cast<std::byte>(random.below(256));
      if (const auto view = view_type::try_from_bytes(block.bytes()); view.ok())
        static_cast<void>(read_all(*view));
      else
        ++refused;
    }
    CHECK(refused > 0);
  };
  check(packed_example<block<16, 4>>());
  check(packed_example<tile_wise<8>>());
}
