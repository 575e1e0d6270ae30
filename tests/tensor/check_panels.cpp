// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

namespace {

/// 40 x 70 weights of which one in seven is not 0.
template <class Format>
auto packed_sevenths() {
  std::vector<std::int8_t> codes(40 * 70);
  for (std::size_t i = 0; i < codes.size(); i += 7) codes[i] = static_cast<std::int8_t>(i % 120);
  return pack(encode_codes<Format, s8, per_tensor>(codes, {40, 70}, {1.0F}));
}

/// Reads everything that a kernel would: any byte out of bounds is an error of the address sanitizer.
template <class View>
std::uint64_t read_all_panels(const View& view) {
  std::uint64_t sum = 0;
  for (const packed_panel& panel : view.panels()) {
    for (std::size_t i = 0; i < panel.kept * panel.groups; ++i) sum += view.words()[panel.words + i];
    if (panel.kept < panel.channels)
      for (std::size_t i = 0; i < panel.kept; ++i) sum += view.kept_channels()[panel.kept_channels + i];
  }
  return sum;
}

}  // namespace

TEST_CASE("check_panels: kept channels that do not ascend are refused") {
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

TEST_CASE("check_panels: a panel of dense leaves no channel out, its outputs would not be written") {
  const auto w = packed_sevenths<dense>();
  using view_type = decltype(w.view());
  aligned_buffer block(w.bytes());
  std::memcpy(block.data(), w.block().data(), w.bytes());
  auto& panel = const_cast<packed_panel&>(view_type::from_bytes(block.bytes()).panels()[0]);
  panel.kept = 30;
  CHECK(view_type::try_from_bytes(block.bytes()).error().message() ==
        "packed tensor: panel 0: keeps 30 of 40 channels");
}

TEST_CASE("check_panels: a damaged block is refused or stays in bounds") {
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
        static_cast<void>(read_all_panels(*view));
      else
        ++refused;
    }
    CHECK(refused > 0);
  };
  check(packed_sevenths<block<16, 4>>());
  check(packed_sevenths<tile_wise<8>>());
}
