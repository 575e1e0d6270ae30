// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <bit>
#include <vector>

using namespace sparq;

namespace {

/// What a packed bitmask holds, n x k.
template <class View>
std::vector<typename View::numeric_type::code> unpacked_bitmask(const View& view) {
  using shape_type = typename View::shape_type;
  const auto [n, k_extent] = view.shape();
  std::vector<typename View::numeric_type::code> codes(n * k_extent);
  for (std::size_t strip = 0; strip < view.strips(); ++strip)
    for (std::size_t section = 0; section < view.sections_per_strip(); ++section) {
      std::size_t next = 0;
      for (std::size_t i = 0; i < view.masks(strip, section).size(); ++i)
        for (std::size_t place = 0; place < 64; ++place) {
          if ((view.masks(strip, section)[i] >> place & 1) == 0) continue;
          const bool is_integer = shape_type::group_k == 4;
          const std::size_t channel = strip * 16 + (is_integer ? place / 4 : place % 16);
          const std::size_t k = section * View::section_k + 4 * i + (is_integer ? place % 4 : place / 16);
          codes.at(channel * k_extent + k) = load_code<typename View::numeric_type>(view.codes(strip, section), next++);
        }
    }
  return codes;
}

template <class Format, class N>
void check_contents(weight_shape shape) {
  sparq_test::random_source random;
  INFO(random.text() << ", " << to_string(shape));
  const auto w = sparq_test::random_tensor<Format, N>(shape, sparq_test::value_style::any, random);
  const auto want = decode_codes(w);
  const auto packed = pack<default_bitmask_shape<N>>(w);
  CHECK(unpacked_bitmask(packed.view()) == want);
  for (std::size_t n = 0; N::is_integer && n < shape.n; ++n) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < shape.k; ++k) sum += static_cast<std::int32_t>(want[n * shape.k + k]);
    REQUIRE(packed.view().weight_sums()[n] == sum);
  }
}

}  // namespace

TEST_CASE("pack_bitmask: every weight is where its bit says") {
  for (const weight_shape shape : {weight_shape{1, 1}, {16, 4}, {17, 5}, {31, 300}, {40, 257}, {3, 0}, {0, 3}}) {
    check_contents<csr, s8>(shape);
    check_contents<csr, s4>(shape);
    check_contents<csr, f32>(shape);
    check_contents<dense, u8>(shape);
    check_contents<block<3, 2>, s8>(shape);
  }
}

TEST_CASE("pack_bitmask: a bit for every weight, and the weights that are not zero") {
  std::vector<std::int8_t> codes(64 * 512);
  for (std::size_t i = 0; i < codes.size(); i += 4) codes[i] = 1;
  const auto w = encode_codes<dense, s8, per_tensor>(codes, {64, 512}, {1.0F});
  const std::size_t data = codes.size() / 8 + codes.size() / 4;
  const auto bytes = packed_bytes<bitmask_shape<16, 4>>(w.view());
  CHECK(bytes > data);
  CHECK(bytes < data + 1024);
}
