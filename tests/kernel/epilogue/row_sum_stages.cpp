// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/row_sum_stages.hpp>

#include "tests/support/epilogue_check.hpp"

#include <cstdint>
#include <utility>
#include <vector>

using namespace sparq;
using sparq_test::check_epilogue;

namespace {

/// As 32 bits add and multiply, whatever overflows.
std::int32_t minus_product(std::int32_t v, std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(v) -
                                   static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
}

}  // namespace

TEST_CASE("row_sum_stages: zero points and offsets of W, for all channels and for each") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{1, 1}, {7, 15}, {3, 16}, {19, 45}}) {
    std::vector<std::int32_t> sums(m), zero_points(n);
    std::vector<float> float_sums(m), offsets(n);
    for (auto& v : sums) v = random.between(-500000, 500000);
    for (auto& v : float_sums) v = random.real(-90.0F, 90.0F);
    for (auto& v : zero_points) v = random.between(-128, 255);
    for (auto& v : offsets) v = random.real(-3.0F, 3.0F);

    check_epilogue<std::int32_t>(
        m, n, epilogue(subtract_weight_zero_point(sums, 7)),
        [&](std::int32_t acc, std::size_t i, std::size_t, std::int32_t) { return minus_product(acc, sums[i], 7); });
    check_epilogue<std::int32_t>(m, n, epilogue(subtract_weight_zero_point(sums, zero_points), subtract_zero_point(3)),
                                 [&](std::int32_t acc, std::size_t i, std::size_t j, std::int32_t weight_sum) {
                                   return minus_product(minus_product(acc, sums[i], zero_points[j]), weight_sum, 3);
                                 });
    const auto plus_product = [](float v, float a, float b) {
      volatile float product = a * b;  // rounded before it is added
      return v + product;
    };
    check_epilogue<float>(m, n, epilogue(add_weight_offset(float_sums, -0.7F)),
                          [&](std::int32_t acc, std::size_t i, std::size_t, std::int32_t) {
                            return plus_product(static_cast<float>(acc), float_sums[i], -0.7F);
                          });
    check_epilogue<float>(m, n, epilogue(scale(0.5F), add_weight_offset(sums, offsets)),
                          [&](std::int32_t acc, std::size_t i, std::size_t j, std::int32_t) {
                            return plus_product(static_cast<float>(acc) * 0.5F, static_cast<float>(sums[i]),
                                                offsets[j]);
                          });
  }
}

TEST_CASE("row_sum_stages: wrong numbers of sums and values are named") {
  const std::vector<std::int32_t> four(4), three(3);
  const std::vector<float> floats(3);
  CHECK(subtract_weight_zero_point(four, 1).check(5, 9).message() == "subtract_weight_zero_point: 4 values for 5 rows");
  CHECK(subtract_weight_zero_point(four, three).check(4, 9).message() ==
        "subtract_weight_zero_point: 3 values for 9 output channels");
  CHECK(subtract_weight_zero_point(four, std::vector<std::int32_t>()).check(4, 2).message() ==
        "subtract_weight_zero_point: 0 values for 2 output channels");
  CHECK(subtract_weight_zero_point(four, 1).check(4, 9).ok());
  CHECK(add_weight_offset(four, 1.0F).check(3, 9).message() == "add_weight_offset: 4 values for 3 rows");
  CHECK(add_weight_offset(four, floats).check(4, 9).message() == "add_weight_offset: 3 values for 9 output channels");
  CHECK(add_weight_offset(four, floats).check(4, 3).ok());
}
