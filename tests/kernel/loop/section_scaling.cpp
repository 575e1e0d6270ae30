// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/kernel/loop/section_scaling.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

TEST_CASE("section_scaling: each channel has its scale and its correction, and only the sums asked for are touched") {
  // two channels, two groups of 4: weight sums 10 and 2, 6 and 0
  const std::vector<std::int8_t> codes = {1, 2, 3, 4, 1, 1, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
  const auto w = pack(encode_codes<csr, s8, per_group<4>>(codes, {2, 8}, {0.5F, 2.0F, 4.0F, 8.0F}));
  const machine::section_scaling scaling(w.view(), -3);
  REQUIRE(scaling.sections == 2);
  std::vector<std::int32_t> sums(4 * 20, 100);
  std::vector<float> to(4 * 20, 1.0F);
  scaling.add(0, 0, sums.data(), 20, 17, to.data());
  CHECK(to[0] == 1.0F + (100 - 30) * 0.5F);
  CHECK(to[16] == to[0]);
  CHECK(to[17] == 1.0F);
  CHECK(to[20] == 1.0F + (100 - 18) * 4.0F);
  CHECK(to[40] == 1.0F);  // no such channel: scale 0
  scaling.add(0, 1, sums.data(), 20, 1, to.data());
  CHECK(to[0] == 36.0F + (100 - 6) * 2.0F);
}
