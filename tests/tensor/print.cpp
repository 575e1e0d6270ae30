// SPDX-License-Identifier: MIT
#include <sparq/format/bitmask.hpp>
#include <sparq/tensor/any_tensor.hpp>
#include <sparq/tensor/encode_codebook.hpp>
#include <sparq/tensor/pack_bitmask.hpp>
#include <sparq/tensor/print.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <string>
#include <vector>

using namespace sparq;

namespace {

/// 4 x 8, '.' is 0.
std::vector<float> weights(const std::string& picture) {
  std::vector<float> values;
  for (const char c : picture)
    if (c != ' ') values.push_back(c == '.' ? 0.0F : 1.0F);
  return values;
}

const std::string few = "x.......  ..xx....  ........  x......x";
const std::string pairs = "xx..x..x  .xx...xx  x..x.xx.  ..xxxx..";
constexpr weight_shape printed_shape{4, 8};

}  // namespace

TEST_CASE("print: a tensor is a line") {
  const auto w = encode<csr, s8>(weights(few), printed_shape);
  // 5 codes, 5 k's of 4 bytes, 5 offsets of 8 bytes, 4 scales: 81 bytes, 648 bits for 32 weights
  const std::string line = "csr, s8 per_channel, 4 x 8, density 0.156, 81 bytes, 20.25 bits per weight";
  CHECK(fmt::format("{}", w) == line);
  CHECK(fmt::format("{}", w.view()) == line);
  CHECK(fmt::format("{}", any_tensor(w)) == line);
  CHECK(fmt::format("{}", encode<dense, f32>(weights(few), printed_shape)) ==
        "dense, f32 unquantized, 4 x 8, density 1.000, 128 bytes, 32.00 bits per weight");
  CHECK(fmt::format("{}", encode<n_m<2, 4>, s4, per_group<4>>(weights(pairs), printed_shape)) ==
        "n_m<2,4>, s4 per_group<4>, 4 x 8, density 0.500, 56 bytes, 14.00 bits per weight");
}

TEST_CASE("print: a packed tensor is a line with the bytes of its block") {
  const auto w = encode<tile_wise<128>, s8>(weights(few), printed_shape);
  const auto packed = pack(w);
  const std::string line = fmt::format("packed tile_wise<128>, s8 per_channel, 4 x 8, density {:.3f}, {} bytes, {:.2f} "
                                       "bits per weight",
                                       w.density(), packed.bytes(), static_cast<double>(packed.bytes()) / 4);
  CHECK(fmt::format("{}", packed) == line);
  CHECK(fmt::format("{}", packed.view()) == line);
  CHECK(fmt::format("{}", any_packed(packed)) == line);
}

TEST_CASE("print: every packed form is a line, and so are codebooks") {
  const auto w = encode<bitmask, s8>(weights(few), printed_shape);
  CHECK(fmt::format("{}", pack<default_bitmask_shape<s8>>(w))
            .starts_with("packed bitmask, s8 per_channel, 4 x 8, density 0.156, "));
  CHECK(fmt::format("{}", pack(encode<csr, s8>(weights(few), printed_shape)))
            .starts_with("packed csr, s8 per_channel, 4 x 8, "));
  using clustered = codebook<2, f32>;
  const auto c = encode<csr, clustered>(weights(few), printed_shape,
                                        nonzero_mask(std::span<const float>(weights(few)), printed_shape),
                                        {0.0F, 1.0F, 2.0F, 3.0F}, {});
  // 5 codes of 2 bits, 5 k's of 4 bytes, 5 offsets of 8 bytes, 4 entries of 4 bytes: 78 bytes, 624 bits for 32 weights
  const std::string line =
      "csr, codebook<2,f32,per_tensor> unquantized, 4 x 8, density 0.156, 78 bytes, 19.50 bits per weight";
  CHECK(fmt::format("{}", c) == line);
  CHECK(fmt::format("{}", pack(c))
            .starts_with("packed csr, codebook<2,f32,per_tensor> unquantized, 4 x 8, density 0.156"));
  CHECK(panel_picture(c).starts_with("csr, panel 0 of 1\nn=0 #.......\n"));
}

TEST_CASE("print: an empty tensor has no bits per weight") {
  CHECK(fmt::format("{}", encode<dense, s8>(std::vector<float>(), {0, 5})) ==
        "dense, s8 per_channel, 0 x 5, density 0.000, 0 bytes");
}

TEST_CASE("print: lines can be aligned") {
  const auto w = encode<dense, s8>(std::vector<float>(), {0, 5});
  const std::string line = "dense, s8 per_channel, 0 x 5, density 0.000, 0 bytes";
  CHECK(fmt::format("{:>54}|", w) == "  " + line + "|");
  CHECK(fmt::format("{:*<54}|", w) == line + "**|");
}

TEST_CASE("print: a panel shows what is stored, padding inside blocks included") {
  CHECK(panel_picture(encode<csr, s8>(weights(few), printed_shape)) ==
        "csr, panel 0 of 1\n"
        "n=0 #.......\n"
        "n=1 ..##....\n"
        "n=2 ........\n"
        "n=3 #......#\n");
  CHECK(panel_picture(encode<block<2, 4>, s8>(weights(few), printed_shape), 1) ==
        "block<2,4>, panel 1 of 2\n"
        "n=2 ########\n"
        "n=3 ########\n");
  CHECK(panel_picture(encode<n_m<2, 4>, f32>(weights(pairs), printed_shape)) ==
        "n_m<2,4>, panel 0 of 1\n"
        "n=0 ##..#..#\n"
        "n=1 .##...##\n"
        "n=2 #..#.##.\n"
        "n=3 ..####..\n");
  CHECK(panel_picture(any_tensor(encode<tile_wise<128>, s4>(weights(few), printed_shape))) ==
        "tile_wise<128>, panel 0 of 1\n"
        "n=0 #.##...#\n"
        "n=1 #.##...#\n"
        "n=2 ........\n"
        "n=3 #.##...#\n");
}

TEST_CASE("print: what a picture leaves out is counted") {
  const auto w = encode<dense, s8>(std::vector<float>(12 * 7, 1.0F), {12, 7});
  CHECK(panel_picture(w, 0, {.channels = 2, .k = 5}) ==
        "dense, panel 0 of 1\n"
        "n=0  ##### +2\n"
        "n=1  ##### +2\n"
        "+10 channels\n");
}

TEST_CASE("print: a panel that is not there is refused") {
  const auto w = encode<csr, s8>(weights(few), printed_shape);
  std::string message;
  try {
    static_cast<void>(panel_picture(w, 1));
  } catch (const error& e) {
    message = e.what();
  }
  CHECK(message == "csr: there is no panel 1 to draw; the tensor has 1");
  CHECK(try_panel_picture(w, 1).error().message() == message);
}
