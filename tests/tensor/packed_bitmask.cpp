// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

namespace {

auto bitmask_example() {
  std::vector<std::int8_t> codes(20 * 300);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 3 == 0 ? i % 120 + 1 : 0);
  return pack<bitmask_shape<16, 4>>(encode_codes<csr, s8, per_tensor>(codes, {20, 300}, {1.0F}));
}
using bitmask_view = decltype(bitmask_example())::view_type;

}  // namespace

TEST_CASE("packed_bitmask: a copied block is viewed as what it was, and as nothing else") {
  const auto w = bitmask_example();
  aligned_buffer copy(w.bytes());
  std::memcpy(copy.data(), w.block().data(), w.bytes());
  const bitmask_view view = bitmask_view::from_bytes(copy.bytes());
  CHECK(view.shape() == weight_shape{20, 300});
  CHECK(view.strips() == 2);
  CHECK(view.sections_per_strip() == 2);
  CHECK(view.masks(0, 0).size() == 64);
  CHECK(view.masks(1, 1).size() == 11);
  CHECK(view.stored_codes() == 2000);
  CHECK(view.slot_efficiency() == 2000.0 / 6000.0);
  using other = packed_bitmask_view<s8, per_channel, bitmask_shape<16, 4>>;
  CHECK(other::try_from_bytes(copy.bytes()).error().message() ==
        "packed tensor: packed as \"bitmask s8 per_tensor 16x4\", wanted as \"bitmask s8 per_channel 16x4\"");
}

TEST_CASE("packed_bitmask: every truncation is refused") {
  const auto w = bitmask_example();
  for (std::size_t size = 0; size < w.bytes(); size += 13) {
    INFO("size " << size);
    CHECK_FALSE(bitmask_view::try_from_bytes(w.block().first(size)).ok());
  }
}

TEST_CASE("packed_bitmask: masks and offsets that lead astray are refused") {
  const auto says = [](auto change, const std::string& sentence) {
    const auto w = bitmask_example();
    aligned_buffer copy(w.bytes());
    std::memcpy(copy.data(), w.block().data(), w.bytes());
    const bitmask_view view(unchecked, copy.data());
    change(const_cast<std::uint64_t*>(view.masks(0, 0).data()), copy.data());
    CHECK(bitmask_view::try_from_bytes(copy.bytes()).error().message() == "packed tensor: " + sentence);
  };
  // one code more in the first section: the second no longer starts behind it
  says([](auto* masks, auto*) { masks[0] = ~std::uint64_t{0}; },
       "section 1: weights do not follow those of the section before");
  // the same in the last one, up to the end of the codes
  says([](auto* masks, auto*) {
    for (int i = 0; i < 11; ++i) masks[75 + 64 + i] = ~std::uint64_t{0};
  }, "section 3: weights out of range");
  says([](auto*, auto* block) { block[offsetof(sparq::detail::packed_header, count) + 8] = std::byte{3}; },
       "sections or masks do not match the weights");
}

TEST_CASE("packed_bitmask: with scales along k sections hold whole groups") {
  using of_32 = packed_bitmask_view<s8, per_group<32>, bitmask_shape<16, 4>>;
  CHECK(of_32::section_k == 256);
  CHECK(packed_bitmask_view<s8, per_group<96>, bitmask_shape<16, 4>>::section_k == 192);
  CHECK(packed_bitmask_view<s8, per_group<300>, bitmask_shape<16, 4>>::section_k == 300);
  CHECK(packed_bitmask_view<f32, per_group<10>, bitmask_shape<16, 1>>::section_k == 120);

  std::vector<std::int8_t> codes(20 * 70, 1);
  std::vector<float> scales(20 * 3);
  for (std::size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i + 1);
  const auto w = pack<bitmask_shape<16, 4>>(encode_codes<csr, s8, per_group<32>>(codes, {20, 70}, scales));
  const of_32 view = of_32::from_bytes(w.block());
  CHECK(view.segments_per_strip() == 3);
  REQUIRE(view.scales().size() == 2 * 3 * 16);
  for (std::size_t strip = 0; strip < 2; ++strip)
    for (std::size_t segment = 0; segment < 3; ++segment)
      for (std::size_t c = 0; c < 16; ++c) {
        const std::size_t at = (strip * 3 + segment) * 16 + c, channel = strip * 16 + c;
        CHECK(view.scales()[at] == (channel < 20 ? scales[channel * 3 + segment] : 0.0F));
        CHECK(view.weight_sums()[at] == (channel >= 20 ? 0 : segment < 2 ? 32 : 6));
      }
  aligned_buffer copy(w.bytes());
  std::memcpy(copy.data(), w.block().data(), w.bytes());
  copy.data()[offsetof(sparq::detail::packed_header, count) + 24] = std::byte{95};  // of the scales
  copy.data()[offsetof(sparq::detail::packed_header, count) + 16] = std::byte{95};  // and of the sums
  CHECK(of_32::try_from_bytes(copy.bytes()).error().message() == "packed tensor: scales do not match the channels");
}
