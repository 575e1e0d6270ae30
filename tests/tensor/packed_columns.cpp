// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

namespace {

auto columns_example() {
  std::vector<std::int8_t> codes(10 * 33);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 3 == 0 ? i % 120 + 1 : 0);
  return pack(encode_codes<csr, s8, per_tensor>(codes, {10, 33}, {1.0F}));
}
using columns_view = decltype(columns_example())::view_type;

}  // namespace

TEST_CASE("packed_columns: a copied block is viewed as what it was, and as nothing else") {
  const auto w = columns_example();
  aligned_buffer copy(w.bytes());
  std::memcpy(copy.data(), w.block().data(), w.bytes());
  const columns_view view = columns_view::from_bytes(copy.bytes());
  CHECK(view.shape() == weight_shape{10, 33});
  CHECK(view.panels() == 3);
  CHECK(view.sections_per_panel() == 1);
  CHECK(view.stored_codes() == w.view().stored_codes());
  CHECK(view.slot_efficiency() > 0.5);
  CHECK(view.slot_efficiency() <= 1.0);
  using other = packed_columns_view<s8, per_tensor, column_shape<2, 4>>;
  CHECK(other::try_from_bytes(copy.bytes()).error().message() ==
        "packed tensor: packed as \"columns s8 per_tensor 4x4\", wanted as \"columns s8 per_tensor 2x4\"");
}

TEST_CASE("packed_columns: every truncation is refused") {
  const auto w = columns_example();
  for (std::size_t size = 0; size < w.bytes(); size += 13) {
    INFO("size " << size);
    CHECK_FALSE(columns_view::try_from_bytes(w.block().first(size)).ok());
  }
}

TEST_CASE("packed_columns: sections that lead astray are refused") {
  const auto says = [](auto change, const std::string& sentence) {
    const auto w = columns_example();
    aligned_buffer copy(w.bytes());
    std::memcpy(copy.data(), w.block().data(), w.bytes());
    const columns_view view(unchecked, copy.data());
    change(const_cast<columns_view::section&>(view.sections(1)[0]), const_cast<std::uint16_t*>(view.lists().data()));
    CHECK(columns_view::try_from_bytes(copy.bytes()).error().message() == "packed tensor: section 1: " + sentence);
  };
  says([](auto& s, auto*) { s.codes += 4; }, "weights do not follow those of the section before");
  says([](auto& s, auto*) { s.lists = 1 << 30; }, "lists out of range");
  says([](auto& s, auto*) { s.groups.back() = 60000; }, "weights out of range");
  says([](auto& s, auto* lists) { lists[s.lists] = 33; }, "entry 0 is 33");
  says([](auto& s, auto* lists) { s.first_k = 30, lists[s.lists] = 3; }, "entry 0 is 3");
}

TEST_CASE("packed_columns: arrays that do not match the channels are refused") {
  const auto says = [](detail::column_array which, int more, const std::string& sentence) {
    const auto w = columns_example();
    aligned_buffer copy(w.bytes());
    std::memcpy(copy.data(), w.block().data(), w.bytes());
    auto& header = *reinterpret_cast<detail::packed_header*>(copy.data());
    header.count[static_cast<std::size_t>(which)] += static_cast<std::uint64_t>(more);
    CHECK(columns_view::try_from_bytes(copy.bytes()).error().message() == "packed tensor: " + sentence);
  };
  says(detail::column_array::weight_sums, 1, "weight sums do not match the channels");
  says(detail::column_array::scales, 1, "scales do not match the channels");
  says(detail::column_array::sections, -1, "sections do not match the channels");
}
