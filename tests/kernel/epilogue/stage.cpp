// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/stage.hpp>

#include "tests/support/epilogue_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <utility>
#include <vector>

using namespace sparq;
using sparq_test::check_epilogue;

namespace {

// ---- a scalar model of a list of stages -----------------------------------------------------------------------------

enum class op { to_float, round, round_away, round_down, relu, add_row, add_col, add_row_f, add_col_f, mul_row, mul_col,
                sat_i8, sat_u8, pack_i8, pack_u8 };

struct vectors {
  // a row vector has one element for each channel, a column one for each row of Y
  std::vector<std::int32_t> row_s, col_s;
  std::vector<float> row_f, col_f, row_scale, col_scale;
};

struct number {
  bool is_float;
  std::int32_t s;
  float f;
};

float real(const number& v) { return v.is_float ? v.f : static_cast<float>(v.s); }
number whole(double rounded) {
  return {false, static_cast<std::int32_t>((std::min)((std::max)(rounded, -2147483648.0), 2147483520.0)), 0};
}
number bounded(const number& v, int low, int high) {
  return {v.is_float, (std::min)((std::max)(v.s, low), high),
          (std::min)((std::max)(v.f, static_cast<float>(low)), static_cast<float>(high))};
}

number step(number v, op what, const vectors& with, std::size_t i, std::size_t j) {
  volatile float product = 0;  // rounded before anything is added to it
  switch (what) {
    case op::to_float: return {true, 0, real(v)};
    case op::round: return whole(std::nearbyint(double{v.f}));
    case op::round_away: return whole(std::round(double{v.f}));
    case op::round_down: return whole(std::floor(double{v.f}));
    case op::relu: return {v.is_float, (std::max)(v.s, 0), (std::max)(v.f, 0.0F)};
    case op::add_row: return {false, v.s + with.row_s[j], 0};
    case op::add_col: return {false, v.s + with.col_s[i], 0};
    case op::add_row_f: return {true, 0, real(v) + with.row_f[j]};
    case op::add_col_f: return {true, 0, real(v) + with.col_f[i]};
    case op::mul_row: product = real(v) * with.row_scale[j]; return {true, 0, product};
    case op::mul_col: product = real(v) * with.col_scale[i]; return {true, 0, product};
    case op::sat_i8: return bounded(v, -128, 127);
    case op::sat_u8: return bounded(v, 0, 255);
    case op::pack_i8: return {false, static_cast<std::int8_t>(v.s), 0};
    case op::pack_u8: return {false, static_cast<std::uint8_t>(v.s), 0};
  }
  return v;
}

/// The same list as stages and as numbers of the model.
template <class Y, class Stages>
void check_list(const vectors& with, const Stages& stages, std::initializer_list<op> model) {
  check_epilogue<Y>(with.col_s.size(), with.row_s.size(), stages,
                    [&](std::int32_t acc, std::size_t i, std::size_t j, std::int32_t) {
                      number v{false, acc, 0};
                      for (const op what : model) v = step(v, what, with, i, j);
                      return static_cast<Y>(v.is_float ? v.f : static_cast<float>(v.s));
                    });
}

vectors random_vectors(std::size_t m, std::size_t n) {
  sparq_test::random_source random;
  vectors v;
  for (std::size_t j = 0; j < n; ++j) {
    v.row_s.push_back(random.between(-90000, 90000));
    v.row_f.push_back(random.real(-90.0F, 90.0F));
    v.row_scale.push_back(random.chance(0.5) ? 0.5F : random.real(-0.02F, 0.02F));
  }
  for (std::size_t i = 0; i < m; ++i) {
    v.col_s.push_back(random.between(-200, 200));
    v.col_f.push_back(random.real(-200.0F, 200.0F));
    v.col_scale.push_back(random.chance(0.5) ? 0.25F : random.real(-0.1F, 0.1F));
  }
  return v;
}

}  // namespace

TEST_CASE("stage: lists of ten and more stages in any order equal a scalar model") {
  for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{1, 1}, {7, 15}, {3, 16}, {19, 45}}) {
    const vectors w = random_vectors(m, n);
    const bias add_row(w.row_s);
    const bias_per_row add_col(w.col_s);
    const bias add_row_f(w.row_f);
    const bias_per_row add_col_f(w.col_f);
    const scale_per_channel mul_row(w.row_scale);
    const scale_per_row mul_col(w.col_scale);
    check_list<std::uint8_t>(w,
                             epilogue(add_row, add_col, relu(), to_float(), mul_row, mul_col, add_row_f,
                                      round_to_integer(), saturate<s8>(), add_col, relu(), saturate<u8>()),
                             {op::add_row, op::add_col, op::relu, op::to_float, op::mul_row, op::mul_col, op::add_row_f,
                              op::round, op::sat_i8, op::add_col, op::relu, op::sat_u8});
    check_list<std::int8_t>(w,
                            epilogue(to_float(), mul_col, add_col_f, relu(), round_with<rounding::down>(), add_row,
                                     to_float(), mul_row, add_row_f, round_with<rounding::nearest_away>(), add_col,
                                     low_byte<std::int8_t>()),
                            {op::to_float, op::mul_col, op::add_col_f, op::relu, op::round_down, op::add_row,
                             op::to_float, op::mul_row, op::add_row_f, op::round_away, op::add_col, op::pack_i8});
    check_list<std::int8_t>(w,
                            epilogue(saturate<s8>(), add_col, mul_row, add_row_f, saturate<u8>(), mul_col,
                                     round_to_integer(), low_byte<std::uint8_t>(), add_col, mul_col, saturate<s8>(),
                                     add_col_f, round_to_integer(), saturate<s8>()),
                            {op::sat_i8, op::add_col, op::mul_row, op::add_row_f, op::sat_u8, op::mul_col, op::round,
                             op::pack_u8, op::add_col, op::mul_col, op::sat_i8, op::add_col_f, op::round, op::sat_i8});
    check_list<float>(w,
                      epilogue(relu(), mul_row, add_row_f, mul_col, add_col_f, relu(), mul_row, add_row_f,
                               saturate<u8>(), mul_col, add_col_f),
                      {op::relu, op::mul_row, op::add_row_f, op::mul_col, op::add_col_f, op::relu, op::mul_row,
                       op::add_row_f, op::sat_u8, op::mul_col, op::add_col_f});
  }
}

TEST_CASE("stage: every rounding that numeric/rounding.hpp names") {
  const auto check = [](auto mode) {
    using mode_type = decltype(mode);
    check_epilogue<std::int32_t>(5, 37, epilogue(scale(1.0F / 1024), round_with<mode_type>()),
                                 [](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                                   return mode_type::apply(static_cast<float>(acc) * (1.0F / 1024));
                                 });
    check_epilogue<std::int32_t>(5, 37, epilogue(scale(0.5F), round_with<mode_type>()),
                                 [](std::int32_t acc, std::size_t, std::size_t, std::int32_t) {
                                   return mode_type::apply(static_cast<float>(acc) * 0.5F);
                                 });
  };
  check(rounding::nearest_even{});
  check(rounding::nearest_away{});
  check(rounding::down{});
  check(rounding::up{});
  check(rounding::toward_zero{});
}

TEST_CASE("stage: NaN passes bounds, and zeros keep their sign") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const lane_position at{0, 0, 16, nullptr};
  const auto lane = [](const f32_lanes& v) {
    float lanes[16];
    v.store(lanes);
    return lanes[5];
  };
  CHECK(std::isnan(lane(relu()(f32_lanes(nan), at))));
  CHECK(std::isnan(lane(clamp(-1.0F, 2.0F)(f32_lanes(nan), at))));
  CHECK(std::isnan(lane(saturate<u8>()(f32_lanes(nan), at))));
  CHECK(std::signbit(lane(relu()(f32_lanes(-0.0F), at))));
  CHECK(std::signbit(lane(clamp(0.0F, 2.0F)(f32_lanes(-0.0F), at))));
  CHECK(std::signbit(lane(saturate<u8>()(f32_lanes(-0.0F), at))));
  CHECK(lane(relu()(f32_lanes(-3.0F), at)) == 0.0F);
  CHECK(lane(clamp(-1.0F, 2.0F)(f32_lanes(3.0F), at)) == 2.0F);
}

TEST_CASE("stage: parameters that do not match Y are refused") {
  const std::vector<float> three(3);
  CHECK(epilogue(scale_per_channel(three)).check(2, 4).message() ==
        "scale_per_channel: 3 values for 4 output channels");
  CHECK(epilogue(bias(three)).check(2, 4).message() == "bias: 3 values for 4 output channels");
  CHECK(epilogue(scale_per_row(three)).check(2, 4).message() == "scale_per_row: 3 values for 2 rows");
  CHECK(epilogue(bias_per_row(three)).check(2, 4).message() == "bias_per_row: 3 values for 2 rows");
  const std::vector<std::int32_t> zero_points(3);
  CHECK(epilogue(subtract_zero_point_per_row(zero_points)).check(2, 4).message() ==
        "subtract_zero_point_per_row: 3 values for 2 rows");
  CHECK(epilogue(clamp(-1, 1)).check(2, 4).ok());
  CHECK(epilogue(clamp(5, -5)).check(2, 4).message() == "clamp: [5, -5] is empty");
  CHECK(epilogue(clamp(0.0F, std::numeric_limits<float>::quiet_NaN())).check(2, 4).message() ==
        "clamp: [0, nan] is empty");
}
