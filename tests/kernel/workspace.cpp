// SPDX-License-Identifier: MIT
#include <sparq/kernel/workspace.hpp>

#include "tests/support/catch.hpp"

#include <string>

TEST_CASE("workspace: grows, and keeps what it has") {
  sparq::workspace scratch;
  std::byte* const first = *scratch.try_reserve(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 0);
  CHECK(*scratch.try_reserve(10) == first);
  CHECK(scratch.size() == 1000);
}

TEST_CASE("workspace: the caller's bytes never grow") {
  sparq::aligned_buffer block(128);
  sparq::workspace scratch(block.bytes());
  CHECK(*scratch.try_reserve(128) == block.data());
  CHECK(scratch.try_reserve(129).error().message().find("129 bytes are needed") != std::string::npos);
}

TEST_CASE("workspace: who makes do with less gets all of the caller's bytes") {
  sparq::aligned_buffer block(128);
  sparq::workspace fixed(block.bytes());
  CHECK(fixed.try_reserve(1000, 100)->size() == 128);
  CHECK(fixed.try_reserve(100, 10)->size() == 100);
  CHECK(fixed.try_reserve(1000, 129).error().message().find("129 bytes are needed") != std::string::npos);
  sparq::workspace growing;
  CHECK(growing.try_reserve(1000, 100)->size() == 1000);
}

TEST_CASE("workspace: bytes that are not aligned are refused") {
  sparq::aligned_buffer block(128);
  sparq::workspace scratch(block.bytes().subspan(1));
  CHECK_FALSE(scratch.try_reserve(8).ok());
}
