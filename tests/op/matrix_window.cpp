// SPDX-License-Identifier: MIT
// The matrix test of weights that are packed in windows of unstructured k's: any format can be.
#include <sparq/format/csr.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/op/conv2d.hpp>
#include <sparq/plan/choose_loop.hpp>

#include "tests/support/matrix.hpp"

using namespace sparq;
using sparq_test::with;

namespace {

/// A program's list that names no atoms for windows: those of all formats permute them.
struct plain_atoms {
  template <numeric X, numeric W>
  using list = default_atoms::list<X, W>;
};

template <class Format, class Combination, std::size_t W, std::size_t Channels = 16>
void check_windows() {
  constexpr std::size_t group_k = Combination::weight_type::is_integer ? 4 : 1;
  sparq_test::check_all_extents<Format, Combination, default_atoms, window_shape<Channels, group_k, W>>();
}

}  // namespace

TEMPLATE_TEST_CASE("matrix: weights packed in windows equal the reference", "", (with<s8, u8>), (with<s8, s8>),
                   (with<u8, s8>), (with<s4, u8>)) {
  check_windows<csr, TestType, 32>();
}

TEST_CASE("matrix: windows of any width equal the reference") {
  check_windows<csr, with<s8, u8>, 16>();
  check_windows<csr, with<ternary_dense5, s8>, 16>();
  check_windows<csr, with<s8, u8>, 64>();
  check_windows<csr, with<s4, s16>, 32>();
  check_windows<n_m<2, 4>, with<s8, s8>, 128>();
}

TEST_CASE("matrix: windows that more channels share equal the reference") {
  check_windows<csr, with<s8, u8>, 64, 32>();
  check_windows<csr, with<s4, s8>, 32, 32>();
  check_windows<n_m<1, 4>, with<f32, f32>, 16, 48>();
  check_windows<csr, with<bf16, f32>, 16, 32>();
}

TEST_CASE("matrix: windows of floats equal the reference") {
  check_windows<csr, with<f32, f32>, 8>();
  check_windows<csr, with<f32, f32>, 16>();
  check_windows<csr, with<bf16, f32>, 8>();
  check_windows<csr, with<bf16, bf16>, 16>();
  check_windows<n_m<2, 4>, with<f16, f32>, 24>();
}

TEST_CASE("matrix: windows are multiplied by the atoms of every format where a list has no others") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t m : {1U, 2U, 7U})
    for (const std::size_t k : {5U, 37U, 96U, 333U}) {
      INFO("m " << m << ", k " << k);
      REQUIRE(sparq_test::multiplication_problem<csr, with<s8, u8>, plain_atoms, window_shape<16, 4, 32>>(
                  {m, 37, k}, random, scratch) == "");
    }
}

TEST_CASE("matrix: windows of channels that have little in common") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t k : {1U, 15U, 31U, 32U, 33U, 500U, 800U})
    for (const std::size_t n : {1U, 16U, 37U}) {
      mask keep({n, k}, false);
      const std::size_t kind = random.below(3);
      for (std::size_t c = 0; c < n; ++c)
        for (std::size_t i = 0; i < k; ++i)
          if (kind == 0)  // one channel has all k's, the others none
            keep.set(c, i, c % 16 == 3);
          else if (kind == 1)  // a hundred times as many
            keep.set(c, i, random.chance(c % 5 == 0 ? 0.9 : 0.009));
          else  // first k's here, last ones there
            keep.set(c, i, c % 2 == 0 ? i < 2 : i + 2 >= k);
      const auto w = sparq_test::random_tensor<csr, s8>(keep, sparq_test::value_style::extremes, random);
      for (const std::size_t m : {1U, 2U, 5U, 13U}) {
        INFO("m " << m << ", n " << n << ", k " << k << ", kind " << kind);
        const auto x = sparq_test::random_x<u8>({m, n, k}, sparq_test::value_style::any, random);
        const auto want = reference_gemm(x.view(), w.view());
        const auto check = [&](const auto& packed) {
          sparq_test::guarded_output<std::int32_t> y(m, n, random);
          gemm(x.view(), packed, y.view(), scratch);
          REQUIRE(sparq_test::first_difference(y.elements(), want, n, 0) == "");
          REQUIRE(y.surroundings_intact());
        };
        check(pack<window_shape<16, 4, 16>>(w));
        check(pack<window_shape<16, 4, 32>>(w));
        check(pack<window_shape<16, 4, 64>>(w));
        check(pack<window_shape<32, 4, 64>>(w));
      }
    }
}

TEMPLATE_TEST_CASE("matrix: a convolution reads windows of its taps", "", (with<s8, u8>), (with<f32, f32>)) {
  using weight_type = typename TestType::weight_type;
  using x_code = typename TestType::x_type::code;
  using y_element = std::conditional_t<weight_type::is_integer, std::int32_t, float>;
  sparq_test::random_source random;
  INFO(random.text());
  const std::size_t channels = 13, n = 21, size = 7;
  window_parameters window;
  window.kernel_height = window.kernel_width = 3;
  window.stride_y = 2;
  window.pad_top = window.pad_left = 1;
  const auto w = sparq_test::random_tensor<csr, weight_type>(sparq_test::random_weight_mask({n, 9 * channels}, random),
                                                             sparq_test::value_style::exact, random);
  std::vector<x_code> x(size * size * channels);
  sparq_test::fill_codes<typename TestType::x_type>(x, sparq_test::value_style::exact, random);
  const std::size_t height = window.output_height(size), width = window.output_width(size);
  const auto convolve = [&](const auto& packed) {
    std::vector<y_element> y(height * width * n);
    workspace scratch;
    conv2d(image_view<const x_code>(x.data(), 1, size, size, channels), packed,
           image_view<y_element>(y.data(), 1, height, width, n), window, x_code{7}, epilogue<>(), serial, scratch);
    return y;
  };
  CHECK(convolve(pack<native_window_shape<weight_type>>(w)) == convolve(pack<default_panel_shape<weight_type>>(w)));
}

TEST_CASE("matrix: weights pack to the same windows on every machine") {
  CHECK(sparq_test::packed_fingerprint<csr, s8, window_shape<16, 4, 16>>() == 0xdce34f062f348f16);
  CHECK(sparq_test::packed_fingerprint<csr, s4, window_shape<16, 4, 32>>() == 0x2f45a065a1f603fa);
  CHECK(sparq_test::packed_fingerprint<csr, s8, window_shape<16, 4, 64>>() == 0xa7a765dd215948a3);
  CHECK(sparq_test::packed_fingerprint<csr, f32, window_shape<16, 1, 8>>() == 0x5c18238759ec14f5);
  CHECK(sparq_test::packed_fingerprint<csr, bf16, window_shape<16, 1, 16>>() == 0xdbe24fc595ceef84);
}

TEST_CASE("matrix: damaged windows are refused or stay in bounds") {
  sparq_test::check_damaged_blocks<csr, with<s8, u8>, window_shape<16, 4, 16>>();
  sparq_test::check_damaged_blocks<csr, with<bf16, f32>, window_shape<16, 1, 8>>();
}
