// SPDX-License-Identifier: MIT
#include <sparq/tensor/packed_block.hpp>

#include "tests/support/catch.hpp"

#include <cstring>

using namespace sparq;

namespace {

constexpr detail::packed_sizes sizes = {4, 1, 8, 1, 1, 1, 1, 1, 1, 1, 1};

aligned_buffer example() {
  detail::packed_header header;
  header.n = 3;
  header.k = 5;
  header.slots = 6;
  header.count = {10, 7, 1};
  header.place("some format", "some layout", sizes);
  aligned_buffer block(static_cast<std::size_t>(header.bytes));
  std::memset(block.data(), 0, block.size());
  std::memcpy(block.data(), &header, sizeof header);
  return block;
}

struct example_view : detail::packed_base {
  explicit example_view(const std::byte* block) : packed_base(block) {}
  template <class T>
  std::span<const T> values(std::size_t which) const { return array<T>(which); }
};

}  // namespace

TEST_CASE("packed_block: arrays start on 64 bytes, in order, and the block ends behind the last") {
  const aligned_buffer block = example();
  const example_view view(block.data());
  CHECK(view.shape() == weight_shape{3, 5});
  CHECK(view.format_name() == "some format");
  CHECK(view.density() == 6.0 / 15.0);
  CHECK(view.bytes() == block.size());
  CHECK(view.values<std::uint32_t>(0).size() == 10);
  const auto at = [&](std::size_t i) {
    return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(view.values<std::byte>(i).data()) -
                                    block.data());
  };
  for (std::size_t i = 0; i < 8; ++i) CHECK(at(i) % 64 == 0);
  CHECK(at(1) == at(0) + 64);
  CHECK(at(2) == at(1) + 64);
  CHECK(block.size() == at(2) + 64);
}

TEST_CASE("packed_block: what a writer counts, places and copies a view finds") {
  enum class part : std::size_t { words, bytes, masks };
  struct example_writer : detail::block_writer<part> {
    example_writer() {
      count(part::words) = 10;
      count(part::bytes) = 7;
      count(part::masks) = 1;
      place({3, 5}, 6, "some format", "some layout", sizes);
    }
    void write(std::span<std::byte> block) {
      static constexpr std::uint8_t bytes[] = {1, 2, 3};
      start(block);
      array<std::uint32_t>(part::words)[9] = 77;
      copy(part::bytes, std::span<const std::uint8_t>(bytes));
      copy(part::masks, std::span<const std::uint64_t>());
    }
  } writer;
  aligned_buffer block(writer.bytes());
  std::memset(block.data(), 0xff, block.size());
  writer.write({block.data(), block.size()});
  CHECK(detail::check_packed_header(block.bytes(), "some layout", sizes).ok());
  const example_view view(block.data());
  CHECK(view.shape() == weight_shape{3, 5});
  CHECK(view.bytes() == example().size());
  CHECK(view.values<std::uint32_t>(0)[8] == 0);
  CHECK(view.values<std::uint32_t>(0)[9] == 77);
  CHECK(view.values<std::uint8_t>(1)[2] == 3);
  CHECK(view.values<std::uint8_t>(1)[3] == 0);
  CHECK(view.values<std::uint64_t>(2)[0] == 0);
}

TEST_CASE("packed_block: a packed tensor that was never filled is a 0 x 0 matrix") {
  const example_view view(nullptr);
  CHECK(view.shape() == weight_shape{0, 0});
  CHECK(view.bytes() == 0);
  CHECK(view.format_name().empty());
  CHECK(view.values<std::uint32_t>(0).empty());
}

TEST_CASE("packed_block: whatever is wrong with a header is said") {
  const auto says = [](auto change, const std::string& sentence) {
    aligned_buffer block = example();
    change(*reinterpret_cast<detail::packed_header*>(block.data()));
    CHECK(detail::check_packed_header(block.bytes(), "some layout", sizes).message() == "packed tensor: " + sentence);
  };
  CHECK(detail::check_packed_header(example().bytes(), "some layout", sizes).ok());
  says([](auto& h) { h.magic[7] = '2'; }, "the block does not start with sparqpk1");
  says([](auto& h) { h.layout[0] = 'S'; }, "packed as \"Some layout\", wanted as \"some layout\"");
  says([](auto& h) { h.format.back() = 'x'; }, "the format's name has no end");
  says([](auto& h) { h.n = std::uint64_t{1} << 32; }, "a matrix of 4294967296 x 5 has an extent above 4294967295");
  says([](auto& h) { h.n = h.k = 0xFFFFFFFF; },
       "a matrix of 4294967295 x 4294967295 has more elements than memory has bytes");
  says([](auto& h) { h.bytes += 1000; }, "needs " + std::to_string(example().size() + 1000) + " bytes, " +
                                             std::to_string(example().size()) + " are here");
  says([](auto& h) { h.count[1] = 1 << 20; }, "array 1 lies outside the block");
  says([](auto& h) { h.offset[2] += 8; }, "array 2 lies outside the block");
  const aligned_buffer block = example();
  CHECK(detail::check_packed_header(block.bytes().subspan(1), "some layout", sizes).message() ==
        "packed tensor: the block does not start on a boundary of 64 bytes");
  CHECK_FALSE(detail::check_packed_header(block.bytes().first(100), "some layout", sizes).ok());
}
