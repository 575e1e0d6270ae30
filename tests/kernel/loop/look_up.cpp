// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/loop/look_up.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <cstring>
#include <vector>

using namespace sparq;

namespace {

/// Words looked up from a dense tensor against its entries; channels and k's beyond the last are 0.
template <class N>
void check_words(weight_shape shape, sparq_test::random_source& random) {
  INFO(N::name << " " << to_string(shape));
  using entry = typename N::entry::code;
  using shape_type = default_panel_shape<N>;
  constexpr std::size_t group_k = shape_type::group_k, channels = shape_type::channels;
  const auto w = sparq_test::random_tensor<dense, N>(mask(shape, true), sparq_test::value_style::any, random);
  const auto packed = pack(w);
  const auto view = packed.view();
  const auto entries = decode_codes(w);
  for (const packed_panel& panel : view.panels())
    for (std::size_t strip = 0; strip * channels < panel.kept; ++strip) {
      std::vector<std::uint32_t> words(panel.groups * channels, 0xdededede);
      look_up_strip(view, panel, strip, words.data());
      for (std::size_t g = 0; g < panel.groups; ++g)
        for (std::size_t c = 0; c < channels; ++c)
          for (std::size_t i = 0; i < group_k; ++i) {
            const std::size_t n = strip * channels + c, k = g * group_k + i;
            if (n < shape.n && k >= shape.k) continue;  // any entry: X is 0
            entry got{};
            std::memcpy(&got, reinterpret_cast<const std::byte*>(&words[g * channels + c]) + i * sizeof got,
                        sizeof got);
            REQUIRE(got == (n < shape.n ? entries[n * shape.k + k] : entry{}));
          }
    }
}

}  // namespace

TEST_CASE("look_up: every word holds the entries of its channel and group") {
  sparq_test::random_source random;
  INFO(random.text());
  static constexpr std::size_t channels[] = {1, 7, 15, 16, 17, 40};
  static constexpr std::size_t places[] = {1, 3, 4, 31, 32, 33, 63, 64, 65, 127, 130, 300};
  for (const std::size_t n : channels)
    for (const std::size_t k : places) {
      check_words<codebook<4, s8, per_channel>>({n, k}, random);
      check_words<codebook<3, s8, per_tensor>>({n, k}, random);
      check_words<codebook<2, s8, per_channel>>({n, k}, random);
      check_words<codebook<1, s8, per_tensor>>({n, k}, random);
      check_words<codebook<5, s8, per_channel>>({n, k}, random);
      check_words<codebook<4, s8, per_bucket<256>>>({n, k}, random);
      check_words<codebook<4, s8, per_bucket<7>>>({n, k}, random);
      check_words<codebook<4, f32, per_channel>>({n, k}, random);
      check_words<codebook<3, f32, per_tensor>>({n, k}, random);
      check_words<codebook<2, f32, per_channel>>({n, k}, random);
      check_words<codebook<8, f32, per_tensor>>({n, k}, random);
    }
}
