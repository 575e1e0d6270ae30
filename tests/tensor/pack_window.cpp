// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace sparq;

namespace {

/// What packed windows hold, n x k; every weight once.
template <class View>
std::vector<typename View::numeric_type::code> unpacked_windows(const View& view) {
  using stored = typename View::numeric_type;
  using code = typename stored::code;
  using shape = typename View::shape_type;
  constexpr std::size_t bits = static_cast<std::size_t>(stored::bits), lane_bits = 32 / shape::group_k;
  constexpr std::size_t in_word = lane_bits / bits, in_byte = stored::is_integer && shape::window <= 16 ? 2 : 1;
  const std::size_t k_extent = view.shape().k;
  std::vector<code> codes(view.shape().size());
  for (const packed_panel& panel : view.panels())
    for (std::size_t g = 0; g < panel.groups; ++g)
      for (std::size_t c = 0; c < panel.channels; ++c)
        for (std::size_t j = 0; j < shape::group_k; ++j) {
          const std::uint32_t word = view.words()[panel.words + g / in_word * 16 + c];
          const std::uint32_t raw = word >> (lane_bits * j + g % in_word * bits) & (~std::uint32_t{0} >> (32 - bits));
          std::byte bytes[4];
          std::memcpy(bytes, &raw, sizeof raw);
          const auto value = load_code<stored>(bytes, 0);
          if (value == code{}) continue;
          const std::size_t at = view.selects()[panel.selects + (g / in_byte * 16 + c) * shape::group_k + j];
          const std::size_t k = view.addresses()[panel.addresses + g] + (in_byte == 1 ? at : at >> (g % 2 * 4) & 15);
          auto& place = codes.at((panel.first_channel + c) * k_extent + k);
          REQUIRE(place == code{});
          place = value;
        }
  return codes;
}

template <std::size_t W, class Format, class N>
void check_contents(weight_shape shape) {
  sparq_test::random_source random;
  INFO(random.text() << ", " << to_string(shape));
  const auto w = sparq_test::random_tensor<Format, N>(shape, sparq_test::value_style::any, random);
  const auto want = decode_codes(w);
  using shape_type = window_shape<16, N::is_integer ? 4 : 1, W>;
  const auto packed = pack<shape_type>(w);
  CHECK(packed.bytes() == packed_bytes<shape_type>(w.view()));
  CHECK(decltype(packed)::view_type::try_from_bytes(packed.block()).ok());
  CHECK(unpacked_windows(packed.view()) == want);
  CHECK(packed.view().weight_sums().size() == (N::is_integer ? shape.n : 0));
  for (std::size_t n = 0; N::is_integer && n < shape.n; ++n) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < shape.k; ++k) sum += static_cast<std::int32_t>(want[n * shape.k + k]);
    REQUIRE(packed.view().weight_sums()[n] == sum);
  }
}

auto packed_codes(const std::vector<std::int8_t>& codes, weight_shape shape) {
  return pack<window_shape<16, 4, 16>>(encode_codes<csr, s8, per_tensor>(codes, shape, {1.0F}));
}

}  // namespace

TEST_CASE("pack_window: every weight is in one window, where its position says") {
  for (const weight_shape shape :
       {weight_shape{1, 1}, {16, 4}, {17, 5}, {31, 300}, {40, 257}, {3, 0}, {0, 3}, {5, 31}}) {
    check_contents<16, csr, s8>(shape);
    check_contents<32, csr, s8>(shape);
    check_contents<64, csr, s4>(shape);
    check_contents<16, dense, u8>(shape);
    check_contents<32, block<3, 2>, s8>(shape);
    check_contents<128, csr, s2>(shape);
    check_contents<8, csr, f32>(shape);
    check_contents<16, block<3, 2>, bf16>(shape);
  }
}

TEST_CASE("pack_window: channels take weights early, and the slowest one moves the window") {
  std::vector<std::int8_t> codes(2 * 64);
  const auto set = [&](std::size_t n, std::initializer_list<std::size_t> ks) {
    for (const std::size_t k : ks) codes[n * 64 + k] = 1;
  };
  set(0, {0, 3, 9, 14, 16, 19});
  set(1, {1, 2, 3, 4, 5, 7, 11, 16, 17});
  const auto w = packed_codes(codes, {2, 64});
  CHECK(std::vector<index_t>(w.view().addresses().begin(), w.view().addresses().end()) ==
        std::vector<index_t>{0, 5, 17});
  CHECK(w.view().slot_efficiency() == 15.0 / (3 * 64));
  CHECK(w.view().panels()[0].groups == 3);
}

TEST_CASE("pack_window: a float takes a slot of its own, in the order of k") {
  std::vector<float> values(2 * 16);
  for (const std::size_t k : {1U, 2U, 9U, 15U}) values[k] = 1.0F;
  for (const std::size_t k : {5U, 6U, 7U}) values[16 + k] = 2.0F;
  const auto w = pack<window_shape<16, 1, 8>>(encode<csr, f32>(values, {2, 16}));
  CHECK(std::vector<index_t>(w.view().addresses().begin(), w.view().addresses().end()) ==
        std::vector<index_t>{1, 2, 7, 8});
  CHECK(w.view().slot_efficiency() == 7.0 / (4 * 16));
}

TEST_CASE("pack_window: groups of scales have groups of their own, which fill words") {
  std::vector<std::int8_t> codes(2 * 40);
  for (const std::size_t k : {0U, 15U, 16U, 17U, 39U}) codes[k] = static_cast<std::int8_t>(static_cast<int>(k) - 17);
  for (const std::size_t k : {17U, 20U, 21U, 22U, 23U}) codes[40 + k] = 3;
  for (std::int8_t& code : codes) code = static_cast<std::int8_t>(std::clamp<int>(code, -8, 7));
  std::vector<float> scales(2 * 3);
  for (std::size_t i = 0; i < 6; ++i) scales[i] = static_cast<float>(1 + i);
  const auto w = pack<window_shape<16, 4, 32>>(encode_codes<csr, s4, per_group<16>>(codes, {2, 40}, scales));
  const auto view = decltype(w)::view_type::from_bytes(w.block());
  CHECK(std::vector<index_t>(view.segments().begin(), view.segments().end()) == std::vector<index_t>{2, 2, 2});
  const auto addresses = view.addresses();
  CHECK(std::vector<index_t>(addresses.begin(), addresses.end()) == std::vector<index_t>{0, 0, 8, 8, 8, 0});
  for (std::size_t s = 0; s < 3; ++s) {
    CHECK(view.scales()[s * 16] == static_cast<float>(1 + s));
    CHECK(view.scales()[s * 16 + 1] == static_cast<float>(4 + s));
  }
  CHECK(view.weight_sums()[0] == -8 - 2);
  CHECK(view.weight_sums()[16] == -1);
  CHECK(view.weight_sums()[17] == 15);
  CHECK(view.weight_sums()[32] == 7);
}

TEST_CASE("pack_window: the last window ends with the last k, and zeros take no slots") {
  std::vector<std::int8_t> codes(18 * 33);
  for (std::size_t n = 0; n < 18; ++n) codes[n * 33 + 32] = 5;
  const auto w = packed_codes(codes, {18, 33});
  for (const index_t address : w.view().addresses()) CHECK(address == 17);
  CHECK(w.view().addresses().size() == 2);
  const auto nothing = packed_codes(std::vector<std::int8_t>(40 * 99), {40, 99});
  CHECK(nothing.view().addresses().empty());
}

TEST_CASE("pack_window: a quarter of white noise fills most slots of wide windows") {
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<std::int8_t> codes(32 * 2048);
  for (auto& code : codes) code = random.chance(0.25) ? 1 : 0;
  const auto w = encode_codes<csr, s8, per_tensor>(codes, {32, 2048}, {1.0F});
  const auto efficiency = [](const auto& packed) { return packed.view().slot_efficiency(); };
  CHECK(efficiency(pack<window_shape<16, 4, 16>>(w)) > 0.6);
  CHECK(efficiency(pack<window_shape<16, 4, 32>>(w)) > 0.77);
  CHECK(efficiency(pack<window_shape<16, 4, 64>>(w)) > 0.86);
}

TEST_CASE("pack_window: addresses and positions that lead astray are refused") {
  std::vector<std::int8_t> codes(3 * 40, 1);
  const auto w = pack<window_shape<16, 4, 32>>(encode_codes<csr, s8, per_tensor>(codes, {3, 40}, {1.0F}));
  using view_type = decltype(w)::view_type;
  const auto says = [&](auto change, const std::string& sentence) {
    aligned_buffer copy(w.bytes());
    std::memcpy(copy.data(), w.block().data(), w.bytes());
    const view_type view(unchecked, copy.data());
    change(const_cast<index_t*>(view.addresses().data()), const_cast<std::uint8_t*>(view.selects().data()));
    const auto result = view_type::try_from_bytes(copy.bytes());
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().message() == "packed tensor: panel 0: " + sentence);
  };
  says([](index_t* addresses, std::uint8_t*) { addresses[1] = 9; }, "address 1 is 9");
  says([](index_t*, std::uint8_t* selects) { selects[70] = 32; }, "position beyond its window");
}
