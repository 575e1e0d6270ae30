// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/expand_entries.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <vector>

using namespace sparq;

namespace {

/// Every word of every section is the weight at its place, or 0.
template <class Format, class N>
void check_words(weight_shape shape) {
  using entry = typename N::entry::code;
  using element = std::conditional_t<N::is_integer, std::uint8_t, float>;
  sparq_test::random_source random;
  INFO(random.text() << ", " << to_string(shape) << ", " << N::name);
  const auto w = sparq_test::random_tensor<Format, N>(shape, sparq_test::value_style::any, random);
  const auto view = w.view();
  std::vector<entry> want(shape.size());
  for (std::size_t p = 0; p < view.index.panels(); ++p)
    view.index.for_each_slot(p, [&](std::size_t slot, std::size_t n, std::size_t k) {
      want[n * shape.k + k] = load_weight(view, slot, n, k);
    });
  const auto packed = pack<default_bitmask_shape<N>>(w);
  const auto bits = decltype(packed)::view_type::from_bytes(packed.block());
  constexpr std::size_t section_k = decltype(bits)::section_k;
  std::vector<element> words(section_k * 16);
  std::vector<std::byte> buffer(section_k * 16 + expand_slack);
  for (std::size_t strip = 0; strip < bits.strips(); ++strip)
    for (std::size_t s = 0; s < bits.sections_per_strip(); ++s) {
      std::fill(words.begin(), words.end(), element{99});
      expand_entries(bits, strip, s, words.data(), buffer.data());
      for (std::size_t i = 0; i < 64 * bits.masks(strip, s).size(); ++i) {
        const std::size_t channel = strip * 16 + (N::is_integer ? i / 4 % 16 : i % 16);
        const std::size_t k = s * section_k + (N::is_integer ? i / 64 * 4 + i % 4 : i / 16);
        const entry at = channel < shape.n && k < shape.k ? want[channel * shape.k + k] : entry{};
        if (words[i] != static_cast<element>(at)) FAIL("channel " << channel << ", k " << k);
      }
    }
  REQUIRE(bits.strips() == ceil_div(shape.n, 16));
}

}  // namespace

TEST_CASE("expand_entries: words hold the entries of the codes, and zeros") {
  for (const weight_shape shape : {weight_shape{1, 1}, {16, 4}, {17, 5}, {31, 300}, {40, 257}, {3, 0}, {0, 3}}) {
    check_words<csr, codebook<4, s8, per_channel>>(shape);
    check_words<csr, codebook<4, s8, per_tensor>>(shape);
    check_words<csr, codebook<1, s8, per_channel>>(shape);
    check_words<csr, codebook<3, s8, per_tensor>>(shape);
    check_words<csr, codebook<5, s8, per_channel>>(shape);
    check_words<csr, codebook<4, f32, per_channel>>(shape);
    check_words<dense, codebook<8, s8, per_channel>>(shape);
    check_words<dense, codebook<4, s8, per_bucket<256>>>(shape);
    check_words<dense, codebook<2, f32, per_bucket<20>>>(shape);
  }
}
