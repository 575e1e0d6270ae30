// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <vector>

using namespace sparq;

namespace {

/// The dense matrix that a packed tensor stands for, read as the loop reads it.
template <class View>
std::vector<double> unpacked(const View& view) {
  using steps = typename View::steps;
  constexpr std::size_t channels = View::panel_shape_type::channels, group_k = View::panel_shape_type::group_k;
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
                const auto value = static_cast<double>(load_code<typename View::numeric_type>(view.codes().data(), code));
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
  REQUIRE(unpacked(packed.view()) == std::vector<double>(codes.begin(), codes.end()));
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
  const auto full = pack<default_column_shape<s8>>(
      encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(4 * 2304, 1), {4, 2304}, {1.0F}));
  CHECK(full.view().sections_per_panel() == 3);
}

TEST_CASE("pack_columns: the work that a plan counts is that of the sections") {
  const std::vector<std::int8_t> codes = {1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 9};
  const auto w = encode_codes<csr, s8, per_tensor>(codes, {2, 6}, {1.0F});
  const detail::column_packer<default_column_shape<s8>, csr, s8, per_tensor> packer(w.view());
  CHECK(packer.work().groups == 2);
  CHECK(packer.work().adds == 3);
  CHECK(packer.work().steps == 2);
}
