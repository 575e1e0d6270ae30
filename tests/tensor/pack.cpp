// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("pack: says its bytes beforehand and writes them where it is told") {
  const std::vector<std::int8_t> codes(20 * 30, 1);
  const auto w = encode_codes<dense, s8, per_tensor>(codes, {20, 30}, {1.0F});
  const std::size_t bytes = packed_bytes(w);
  aligned_buffer block(bytes);
  CHECK(try_pack_into(w, block.bytes()).ok());
  const auto own = pack(w);
  CHECK(own.bytes() == bytes);
  CHECK(std::equal(own.block().begin(), own.block().end(), block.bytes().begin()));
  aligned_buffer small(bytes - 1);
  CHECK_FALSE(try_pack_into(w, small.bytes()).ok());
  CHECK(std::all_of(small.bytes().begin(), small.bytes().end(), [](std::byte b) { return b == std::byte{}; }));
}
