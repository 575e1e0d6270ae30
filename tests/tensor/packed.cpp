// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

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
