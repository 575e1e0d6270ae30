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

/// The dense matrix that a packed tensor stands for, read as the loop reads it.
template <class View>
std::vector<double> unpacked_columns(const View& view) {
  using steps = typename View::steps;
  constexpr std::size_t channels = View::shape_type::channels, group_k = View::shape_type::group_k;
  const auto [n, k] = view.shape();
  std::vector<double> w(n * k);
  for (std::size_t p = 0; p < view.panels(); ++p)
    for (const auto& section : view.sections(p)) {
      const std::uint16_t* list = view.lists().data() + section.lists;
      std::size_t code = static_cast<std::size_t>(section.codes);
      for (std::size_t i = 0; i < steps::count; ++i)
        for (std::size_t g = 0; g < section.groups[i]; ++g)
          for (std::size_t j = 0; j < steps::all[i].count; ++j, list += group_k)
            for (std::size_t c = 0; c < channels; ++c) {
              if ((steps::all[i].sets[j] >> c & 1) == 0) continue;
              for (std::size_t at = 0; at < group_k; ++at, ++code) {
                const auto value =
                    static_cast<double>(load_code<typename View::numeric_type>(view.codes().data(), code));
                if (p * channels + c < n) w[(p * channels + c) * k + section.first_k + list[at]] += value;
              }
            }
    }
  return w;
}

template <class Format, numeric N, std::size_t Channels>
void check_round_trip(weight_shape shape, sparq_test::random_source& random) {
  const auto w = sparq_test::random_tensor<Format, N>(shape, sparq_test::value_style::exact, random);
  const auto packed = pack<column_shape<Channels, default_column_shape<N>::group_k>>(w);
  const auto codes = decode_codes(w);
  INFO(Format::name() << " " << N::name << ", " << shape.n << " x " << shape.k);
  REQUIRE(decltype(packed.view())::try_from_bytes(packed.block()).ok());
  const std::vector<double> got = unpacked_columns(packed.view());
  REQUIRE(got.size() == codes.size());
  const auto difference = std::mismatch(got.begin(), got.end(), codes.begin()).first;  // short where it fails
  INFO("element " << difference - got.begin());
  REQUIRE(difference == got.end());
}

}  // namespace

TEST_CASE("pack_columns: groups of a small panel are where the picture says") {
  //            k  0  1  2  3  4  5
  const std::vector<std::int8_t> codes = {1, 2, 3, 4, 0, 0,    // channel 0
                                          5, 6, 7, 8, 0, 9};   // channel 1
  const auto w = pack(encode_codes<csr, s8, per_tensor>(codes, {2, 6}, {1.0F}));
  const auto& section = w.view().sections(0)[0];
  for (std::size_t i = 0; i < column_steps<4>::count; ++i) {
    const bool both = i == 4 + 2, second = i == 4 + 1;  // sets {0,1} and {1} follow four joint steps
    CHECK(section.groups[i] == (both || second ? 1 : 0));
  }
  const std::vector<std::uint16_t> lists(w.view().lists().begin(), w.view().lists().end());
  CHECK(lists == std::vector<std::uint16_t>{5, 0, 0, 0, 0, 1, 2, 3});  // three fillers
  const std::vector<int> want = {9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(load_code<s8>(w.view().codes().data(), i) == want[i]);
  CHECK(w.view().slot_efficiency() == 9.0 / 12.0);
  CHECK(w.view().weight_sums()[1] == 35);
}

TEST_CASE("pack_columns: sets without a common channel go in turns") {
  std::vector<std::int8_t> codes(4 * 16);
  for (std::size_t k = 0; k < 16; ++k) codes[k / 4 * 16 + k] = static_cast<std::int8_t>(k + 1);
  const auto w = pack(encode_codes<csr, s8, per_tensor>(codes, {4, 16}, {1.0F}));
  for (std::size_t i = 0; i < column_steps<4>::count; ++i) CHECK(w.view().sections(0)[0].groups[i] == (i == 0 ? 1 : 0));
  REQUIRE(w.view().lists().size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(w.view().lists()[i] == i);
    CHECK(load_code<s8>(w.view().codes().data(), i) == static_cast<std::int8_t>(i + 1));
  }
}

TEST_CASE("pack_columns: k's that are left over join channels whose last group has room") {
  const std::vector<std::int8_t> codes = {1, 2, 3, 4,   // k 0 by itself would need three fillers
                                          0, 5, 6, 7};
  const auto w = pack(encode_codes<csr, s8, per_tensor>(codes, {2, 4}, {1.0F}));
  const std::vector<std::uint16_t> lists(w.view().lists().begin(), w.view().lists().end());
  CHECK(lists == std::vector<std::uint16_t>{1, 2, 3, 0});
  const std::vector<int> want = {2, 3, 4, 1, 5, 6, 7, 0};
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(load_code<s8>(w.view().codes().data(), i) == want[i]);
  CHECK(w.view().stored_codes() == 8);
}

TEST_CASE("pack_columns: zeros among integers take no part, floats keep every slot") {
  const std::vector<std::int8_t> codes = {1, 0, 0, 0, 2, 3, 4};
  const auto integers = pack<default_column_shape<s8>>(encode_codes<dense, s8, per_tensor>(codes, {1, 7}, {1.0F}));
  CHECK(integers.view().stored_codes() == 4);
  CHECK(integers.view().density() == 1.0);
  const std::vector<float> values(codes.begin(), codes.end());
  const auto floats = pack<default_column_shape<f32>>(encode<dense, f32>(values, {1, 7}));
  CHECK(floats.view().stored_codes() == 7);
}

TEST_CASE("pack_columns: every channel keeps its scale") {
  const std::vector<float> scales = {0.5F, 2.0F, 3.0F, 4.0F, 5.0F};
  const auto w = pack(encode_codes<csr, s8, per_channel>(std::vector<std::int8_t>(10, 1), {5, 2}, scales));
  CHECK(std::vector<float>(w.view().scales().begin(), w.view().scales().end()) == scales);
}

TEST_CASE("pack_columns: every byte of the block is written, whatever was there") {
  const auto w =
      encode_codes<csr, s4, per_tensor>(std::vector<std::int8_t>{1, 0, 3, 0, -5, 0, 7, 0, 0}, {3, 3}, {1.0F});
  aligned_buffer block(packed_bytes(w));
  std::memset(block.data(), 0xcd, block.size());
  REQUIRE(try_pack_into(w, block.bytes()).ok());
  const auto own = pack(w);
  REQUIRE(own.bytes() == block.size());
  CHECK(std::memcmp(own.block().data(), block.data(), block.size()) == 0);
}

TEST_CASE("pack_columns: what is packed is what was stored") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int trial = 0; trial < 60; ++trial) {
    const weight_shape shape{1 + random.below(40), 1 + random.below(90)};
    check_round_trip<csr, s8, 4>(shape, random);
    check_round_trip<csr, s4, 4>(shape, random);
    check_round_trip<csr, f32, 4>(shape, random);
    check_round_trip<csr, bf16, 4>(shape, random);
    check_round_trip<csr, s8, 1>(shape, random);
    check_round_trip<csr, f32, 2>(shape, random);
    check_round_trip<block<3, 5>, s8, 4>(shape, random);  // panels that end inside ours
    check_round_trip<dense, u8, 2>(shape, random);
  }
}

TEST_CASE("pack_columns: many k's come in sections that 16 bits can count") {
  sparq_test::random_source random;
  INFO(random.text());
  check_round_trip<csr, s8, 4>({3, 70001}, random);
  check_round_trip<csr, f32, 4>({5, 33000}, random);
  check_round_trip<csr, s8, 4>({2, 65536}, random);
  for (const std::size_t k : {std::size_t{32768}, std::size_t{32769}, std::size_t{65537}}) {
    std::vector<std::int8_t> codes(k);
    codes[k - 1] = 5;
    const auto w = pack(encode_codes<csr, s8, per_tensor>(codes, {1, k}, {1.0F}));
    REQUIRE(w.view().sections_per_panel() == (k + 32767) / 32768);
    const auto& last = w.view().sections(0).back();
    CHECK(last.first_k + std::size_t{w.view().lists()[last.lists]} == k - 1);
  }
  const auto full = pack<default_column_shape<s8>>(
      encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(4 * 2304, 1), {4, 2304}, {1.0F}));
  CHECK(full.view().sections_per_panel() == 3);
}

TEST_CASE("pack_columns: few rows of X get longer sections, which hold the same weights") {
  const auto w = encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(5 * 9001, 1), {5, 9001}, {1.0F});
  const auto sections = [&](for_rows rows) {
    const auto packed = pack(w, rows);
    return packed.view().sections_per_panel();
  };
  CHECK(sections({}) == 12);
  CHECK(sections({33}) == 12);
  CHECK(sections({32}) == 3);
  CHECK(sections({1}) == 3);
  CHECK(packed_bytes(w, for_rows{32}) == pack(w, for_rows{32}).bytes());
  CHECK(packed_bytes(w, for_rows{32}) < packed_bytes(w));
  const auto few = pack(w, for_rows{1}), many = pack(w);
  CHECK(unpacked_columns(few.view()) == unpacked_columns(many.view()));
}

TEST_CASE("pack_columns: the work that a plan counts is that of the sections") {
  const std::vector<std::int8_t> codes = {1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 9};
  const auto w = encode_codes<csr, s8, per_tensor>(codes, {2, 6}, {1.0F});
  const detail::column_packer<default_column_shape<s8>, csr, s8, per_tensor> packer(w.view());
  CHECK(packer.work().groups == 2);
  CHECK(packer.work().adds == 3);
  CHECK(packer.work().steps == 2);
  const auto row = encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(9, 1), {1, 9}, {1.0F});
  const detail::column_packer<default_column_shape<s8>, csr, s8, per_tensor> row_packer(row.view());
  CHECK(row_packer.work().groups == 3);
  CHECK(row_packer.work().adds == 3);
  CHECK(row_packer.work().steps == 1);
}
