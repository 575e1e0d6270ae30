// SPDX-License-Identifier: MIT
#include <sparq/format/bitmask.hpp>
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/tensor/encode_codebook.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <limits>
#include <string>
#include <vector>

using namespace sparq;

namespace {

bool mentions(const status& s, const char* text) { return s.message().find(text) != std::string::npos; }

/// Codes through a tensor and back: entries where kept, zeros elsewhere.
template <class Format, class N>
void round_trip(weight_shape shape, sparq_test::random_source& random) {
  INFO(Format::name() << " " << N::name << " " << to_string(shape));
  mask keep = sparq_test::random_weight_mask(shape, random);
  sparq_test::fit_mask<Format>::apply(keep, random);
  const auto tables = sparq_test::random_tables<N>(shape, true, sparq_test::value_style::any, random);
  std::vector<std::uint8_t> codes(shape.size());
  std::vector<typename N::entry::code> want(shape.size());
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at) {
      codes[at] = static_cast<std::uint8_t>(keep(n, k) ? random.below(N::entries) : 255);  // not read where pruned
      if (keep(n, k)) want[at] = tables[table_start<N>(n, k, shape.k) + codes[at]];
    }
  std::vector<float> scales(default_granularity<N>::scale_count(shape.n, shape.k), 0.5F);
  const auto w = encode_codes<Format, N>(codes, shape, keep, tables, scales);
  REQUIRE(decode_codes(w) == want);
  REQUIRE(w.view().validate().ok());
  REQUIRE(w.tables() == tables);
  const auto values = decode(w);
  for (std::size_t at = 0; at < want.size(); ++at)
    REQUIRE(values[at] == static_cast<float>(want[at]) * (N::is_integer ? 0.5F : 1.0F));
}

}  // namespace

TEST_CASE("encode_codebook: tensors give back what they were made of") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const weight_shape shape : {weight_shape{0, 5}, {3, 0}, {1, 1}, {7, 33}, {33, 100}}) {
    round_trip<dense, codebook<4, s8, per_bucket<256>>>(shape, random);
    round_trip<dense, codebook<3, f32, per_bucket<8>>>(shape, random);
    round_trip<csr, codebook<5, s8, per_channel>>(shape, random);
    round_trip<bitmask, codebook<1, f32, per_tensor>>(shape, random);
    round_trip<n_m<2, 4>, codebook<4, f32, per_channel>>(shape, random);
    round_trip<tile_wise<4>, codebook<8, s8, per_channel>>(shape, random);
    round_trip<block<4, 4>, codebook<2, s8, per_tensor>>(shape, random);
  }
}

TEST_CASE("encode_codebook: weights get their nearest entry, of two the first") {
  const std::vector<float> weights = {0.9F, -2.6F, 5.0F, 1.5F, 0.0F, 100.0F};
  const std::vector<std::int8_t> tables = {0, 1, 2, -5};
  const auto w = encode<dense, codebook<2>, per_tensor>(weights, {2, 3}, mask({2, 3}, true), tables, {1.0F});
  CHECK(decode_codes(w) == std::vector<std::int8_t>{1, -5, 2, 1, 0, 2});
  const auto halved = encode<dense, codebook<2>, per_tensor>(weights, {2, 3}, mask({2, 3}, true), tables, {0.5F});
  CHECK(decode_codes(halved) == std::vector<std::int8_t>{2, -5, 2, 2, 0, 2});
}

TEST_CASE("encode_codebook: MXFP4 codes of ggml") {
  // x[i] = ((i * 37) % 101 - 50) / 16, one block: e8m0 0x7e, then byte j = code j | code (j + 16) << 4
  const std::array<std::uint8_t, 16> golden = {0x6f, 0xdb, 0x25, 0x7e, 0xc9, 0x46, 0xfe, 0xa2,
                                               0x67, 0xec, 0x14, 0x6f, 0xda, 0x35, 0x7e, 0xb0};
  std::vector<float> weights(32);
  for (std::size_t i = 0; i < 32; ++i) weights[i] = (static_cast<float>(i * 37 % 101) - 50) / 16;
  const auto w = encode<dense, codebook<4>, per_tensor>(weights, {1, 32}, mask({1, 32}, true),
                                                        {e2m1_doubled.begin(), e2m1_doubled.end()}, {0.25F});
  for (std::size_t j = 0; j < 16; ++j) {
    CHECK(load_code<codebook<4>>(w.values().data(), j) == (golden[j] & 15));
    CHECK(load_code<codebook<4>>(w.values().data(), j + 16) == golden[j] >> 4);
  }
}

TEST_CASE("encode_codebook: pruned weights need a zero in their table") {
  const std::vector<std::uint8_t> codes = {0, 1, 1, 0};
  const std::vector<std::int8_t> one_zero = {1, 0, 2, 3};  // channel 0 has a zero, channel 1 none
  const std::vector<float> scales = {1, 1};
  using by_channel = codebook<1, s8, per_channel>;
  mask keep({2, 2}, true);
  CHECK(try_encode_codes<dense, by_channel>(codes, {2, 2}, keep, one_zero, scales).ok());
  CHECK(mentions(try_encode_codes<csr, by_channel>(codes, {2, 2}, keep, one_zero, scales).error(),
                 "table 1 has no entry of 0"));
  keep.set(0, 1, false);
  CHECK(try_encode_codes<dense, by_channel>(codes, {2, 2}, keep, one_zero, scales).ok());
  keep.set(1, 0, false);
  CHECK(mentions(try_encode_codes<dense, by_channel>(codes, {2, 2}, keep, one_zero, scales).error(), "[n=1][k=0]"));
}

TEST_CASE("encode_codebook: refuses what does not fit") {
  const mask keep({2, 2}, true);
  const std::vector<std::uint8_t> codes = {0, 1, 4, 0};
  const std::vector<std::int8_t> table = {0, 1, 2, 3};
  CHECK(
      mentions(try_encode_codes<csr, codebook<2>>(codes, {2, 2}, keep, table, {1, 1}).error(), "code 4 at [n=1][k=0]"));
  CHECK(mentions(try_encode_codes<csr, codebook<3>>(codes, {2, 2}, keep, table, {1, 1}).error(), "needs 8"));
  CHECK(mentions(try_encode_codes<csr, codebook<2>>(codes, {2, 3}, keep, table, {1, 1}).error(), "4 values"));
  CHECK(mentions(
      try_encode_codes<n_m<1, 2>, codebook<2>>({codes.data(), 2}, {1, 2}, mask({1, 2}, true), table, {1}).error(),
      "[n=0]"));
  const std::vector<float> bad = {0, std::numeric_limits<float>::infinity()};
  CHECK(mentions(try_encode_codes<dense, codebook<1, f32>>(codes, {2, 2}, keep, bad, {}).error(),
                 "entry 1 of table 0 is inf"));
  const std::vector<float> weights = {1, 2, std::numeric_limits<float>::quiet_NaN(), 4};
  CHECK(mentions(try_encode<dense, codebook<2>>(weights, {2, 2}, keep, table, {1, 1}).error(), "[n=1][k=0]"));
  CHECK(mentions(try_encode<dense, codebook<2>>(weights, {2, 2}, keep, table, {1}).error(), "2 are needed"));
}

TEST_CASE("encode_codebook: tables without zero do not fill groups of the columns loop") {
  const std::vector<std::uint8_t> codes(6, 1);
  const auto w = encode_codes<dense, codebook<1>>(codes, {2, 3}, mask({2, 3}, true), {7, 9}, {1, 1});
  aligned_buffer block(4096);
  CHECK(mentions(try_pack_into<column_shape<4, 4>>(w.view(), block.bytes()).error(), "table 0 has no entry of 0"));
  CHECK(mentions(try_pack<column_shape<4, 4>>(w.view()).error(), "table 0 has no entry of 0"));
  CHECK(try_pack<panel_shape<16, 4>>(w.view()).value().bytes() == packed_bytes<panel_shape<16, 4>>(w.view()));
  CHECK(try_pack_into<panel_shape<16, 4>>(w.view(), block.bytes()).ok());
}
