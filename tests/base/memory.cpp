// SPDX-License-Identifier: MIT
#include <sparq/base/memory.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace {

bool is_aligned(const sparq::aligned_buffer& buffer) {
  return reinterpret_cast<std::uintptr_t>(buffer.data()) % sparq::alignment == 0;
}

sparq::aligned_buffer counting(std::size_t size) {
  sparq::aligned_buffer buffer(size);
  for (std::size_t i = 0; i < size; ++i) buffer.data()[i] = static_cast<std::byte>(i);
  return buffer;
}

}  // namespace

TEST_CASE("memory: a buffer of any size is aligned and zero") {
  for (const std::size_t size : {1u, 63u, 64u, 65u, 4097u}) {
    const sparq::aligned_buffer buffer(size);
    INFO("size " << size);
    CHECK(buffer.size() == size);
    CHECK(buffer.bytes().size() == size);
    CHECK(is_aligned(buffer));
    CHECK(std::ranges::all_of(buffer.bytes(), [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_CASE("memory: an empty buffer owns nothing and copies") {
  const sparq::aligned_buffer empty;
  const sparq::aligned_buffer copy = empty;
  const sparq::aligned_buffer zero(0);
  CHECK(empty.data() == nullptr);
  CHECK(copy.data() == nullptr);
  CHECK(zero.bytes().empty());
}

TEST_CASE("memory: a copy is deep and aligned") {
  const sparq::aligned_buffer original = counting(100);
  sparq::aligned_buffer copy = original;
  REQUIRE(copy.size() == 100);
  CHECK(is_aligned(copy));
  CHECK(std::ranges::equal(copy.bytes(), original.bytes()));
  copy.data()[7] = std::byte{200};
  CHECK(original.data()[7] == std::byte{7});
}

TEST_CASE("memory: a move hands over the block and leaves an empty buffer") {
  static_assert(std::is_nothrow_move_constructible_v<sparq::aligned_buffer>);
  sparq::aligned_buffer source = counting(10);
  const std::byte* const block = source.data();
  const sparq::aligned_buffer target = std::move(source);
  CHECK(target.data() == block);
  CHECK(target.size() == 10);
  CHECK(source.data() == nullptr);  // NOLINT(bugprone-use-after-move): the promise under test
  CHECK(source.size() == 0);
}

TEST_CASE("memory: assignment replaces the content, also by itself") {
  sparq::aligned_buffer buffer = counting(3);
  buffer = counting(200);
  CHECK(buffer.size() == 200);
  CHECK(buffer.data()[199] == std::byte{199});
  const sparq::aligned_buffer& same = buffer;
  buffer = same;
  CHECK(buffer.size() == 200);
  CHECK(buffer.data()[199] == std::byte{199});
}
