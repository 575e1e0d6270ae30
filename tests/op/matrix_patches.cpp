// SPDX-License-Identifier: MIT
// Convolutions over pixels in the rows loop, where the taps' k's compose with every pattern,
// against a plain loop over taps.
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/format/tile_wise_n_m.hpp>
#include <sparq/numeric/codebook.hpp>

#include "tests/support/patches.hpp"

#include <span>
#include <vector>

using namespace sparq;
using sparq_test::check_patches;
using sparq_test::convolution_problem;
using sparq_test::with;

namespace {

template <class Format, class X, class W, class Shape = default_panel_shape<W>>
void check_random_patches(int trials, sparq_test::random_source& random, workspace& scratch) {
  for (int trial = 0; trial < trials; ++trial)
    check_patches<Format, X, W, Shape>(sparq_test::random_convolution<X>(random), random, scratch);
}

}  // namespace

TEST_CASE("matrix: convolutions by patches equal the plain loop, in every pattern") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  check_random_patches<n_m<2, 4>, u8, s8>(25, random, scratch);
  check_random_patches<n_m<3, 7>, u8, s8>(25, random, scratch);
  check_random_patches<tile_n_m<32, 2, 4>, u8, s8>(25, random, scratch);
  check_random_patches<block<16, 4>, u8, s8>(25, random, scratch);
  check_random_patches<tile_wise<8, n_m<2, 4>>, u8, s8>(25, random, scratch);
}

TEST_CASE("matrix: convolutions by patches equal the plain loop, in every numeric type") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  check_random_patches<n_m<1, 4>, s8, s4>(15, random, scratch);
  check_random_patches<tile_n_m<16, 2, 4>, f32, f32>(15, random, scratch);
  check_random_patches<n_m<2, 4>, f32, f32>(15, random, scratch);
  check_random_patches<block<16, 4>, bf16, bf16>(15, random, scratch);
  check_random_patches<tile_wise<8, n_m<2, 4>>, bf16, bf16>(15, random, scratch);
  check_random_patches<tile_wise<8>, s16, s8>(15, random, scratch);
  check_random_patches<csr, f32, codebook<4, f32, per_channel>, default_column_shape<f32>>(15, random, scratch);
  check_random_patches<tile_wise<8>, f32, codebook<4, f32, per_channel>>(15, random, scratch);
}

TEST_CASE("matrix: convolutions by patches read bitmasks and windows") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  check_random_patches<csr, u8, s8, default_bitmask_shape<s8>>(25, random, scratch);
  check_random_patches<csr, s8, s4, window_shape<16, 4, 32>>(25, random, scratch);
}

TEST_CASE("matrix: usual convolutions by patches") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t kernel : {1U, 3U, 5U})
    for (const std::size_t stride : {1U, 2U})
      for (const std::size_t channels : {3U, 16U, 17U}) {
        convolution_problem<u8> p;
        p.images = p.groups = 1;
        p.height = 9;
        p.width = 12;
        p.channels = channels;
        p.n = 37;
        p.window.kernel_height = p.window.kernel_width = kernel;
        p.window.stride_y = p.window.stride_x = stride;
        p.window.pad_top = p.window.pad_left = p.window.pad_bottom = p.window.pad_right = kernel / 2;
        p.fill(random);
        check_patches<tile_wise<8>, u8, s8>(p, random, scratch);
        check_patches<n_m<2, 4>, u8, s8>(p, random, scratch);
      }
}
