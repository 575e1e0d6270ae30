// SPDX-License-Identifier: MIT
#include <sparq/op/operands.hpp>

#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <cstdint>
#include <tuple>

using namespace sparq;

namespace {

template <class Granularity>
using dense_view = packed_view_of<tensor<dense, s8, Granularity>>;

}  // namespace

TEST_CASE("operands: layouts are told apart") {
  STATIC_REQUIRE(machine::activations<matrix_view<const float>>);
  STATIC_REQUIRE(machine::activations<narrow_matrix_view<const u4>>);
  STATIC_REQUIRE(machine::activations<quad_view<std::uint8_t>>);
  STATIC_REQUIRE_FALSE(machine::activations<image_view<float>>);
  STATIC_REQUIRE(machine::is_k_major_v<k_major_view<float>>);
  STATIC_REQUIRE_FALSE(machine::is_k_major_v<matrix_view<float>>);
}

TEST_CASE("operands: only dense weights in the rows loop keep every weight") {
  STATIC_REQUIRE_FALSE(machine::may_leave_weights_out<dense_view<per_tensor>>());
  STATIC_REQUIRE(machine::may_leave_weights_out<packed_view_of<tensor<csr, s8, per_tensor>>>());
  STATIC_REQUIRE(machine::may_leave_weights_out<packed_view_of<tensor<dense, s8, per_tensor>, column_shape<4, 4>>>());
}

TEST_CASE("operands: extents and strides that do not fit are named") {
  float data[1] = {};
  const auto says = [&](const auto& x, const auto& y) { return machine::check_operands(x, {5, 7}, y).message(); };
  const matrix_view<float> y(data, 2, 5);
  CHECK(says(matrix_view<float>(data, 2, 7), y) == "");
  CHECK(says(matrix_view<float>(data, 2, 6), y) == "gemm: X is 2 x 6, W is 5 x 7; X needs 7 columns");
  CHECK(says(matrix_view<float>(data, 3, 7), y) == "gemm: Y is 2 x 5, it needs to be 3 x 5");
  CHECK(says(k_major_view<float>(data, 2, 7, 2), y) == "");
  CHECK_FALSE(says(k_major_view<float>(data, 2, 7, 1), y).empty());
  CHECK_FALSE(says(quad_view<float>(data, 2, 7, 7), y).empty());
  CHECK_FALSE(says(matrix_view<float>(data, 2, 7), matrix_view<float>(data, 2, 5, 4)).empty());
}

TEST_CASE("operands: where scales run along k the loop takes X's zero point back, elsewhere the stage does") {
  const auto stages = epilogue(subtract_zero_point(3), relu());
  CHECK(machine::zero_point_inside<dense_view<per_channel>>(stages) == 0);
  CHECK(machine::zero_point_inside<dense_view<per_group<32>>>(stages) == 3);
  const auto kept = machine::stages_behind<dense_view<per_channel>>(stages);
  const auto fewer = machine::stages_behind<dense_view<per_group<32>>>(stages);
  STATIC_REQUIRE((std::tuple_size_v<decltype(kept.stages)> == 2));
  STATIC_REQUIRE((std::tuple_size_v<decltype(fewer.stages)> == 1));
}
