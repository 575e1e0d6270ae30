// SPDX-License-Identifier: MIT
#include <sparq/kernel/epilogue/requantize_lanes.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/requantization.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

using namespace sparq_test;

namespace {

/// Vectors clamp floats to the largest float below 2^31.
std::int64_t inside(std::int64_t value) { return (std::min)(value, std::int64_t{2147483520}); }

/// Sixteen sums at a time through the vector form, one set of parameters or one for each lane.
template <class Policy>
void check_lanes(int groups, bool is_per_channel) {
  const auto seed = sparq_test::random_seed();
  INFO(Policy::name << ", SPARQ_TEST_SEED=" << seed << (is_per_channel ? ", per channel" : ", per tensor"));
  engine random(seed);
  for (int group = 0; group < groups; ++group) {
    std::array<typename Policy::parameters, 16> p;
    for (auto& one : p) one = random_parameters<Policy>(random);
    const auto count = uniform<std::size_t>(random, 1, 16);
    const sparq::requantize_lanes<Policy> lanes(
        sparq::lane_parameters<typename Policy::parameters>{p.data(), count, is_per_channel});
    for (int row = 0; row < 4; ++row) {
      std::array<std::int32_t, 16> acc, got;
      for (auto& a : acc) a = accumulator_for<Policy>(random);
      lanes(sparq::vec<std::int32_t>::load(acc.data())).store(got.data());
      for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t want = definition(acc[i], is_per_channel ? p[i] : p[0]);
        if (inside(got[i]) != inside(want)) {
          INFO("acc " << acc[i] << ", lane " << i << " of " << count);
          REQUIRE(got[i] == want);
        }
      }
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("requantize_lanes: a million sums in vectors agree with the definition, for a tensor and by channel",
                   "", tflite_double, tflite_single, fp32_nearest_even, floor_shift, xnn_rndnu, gemmlowp_legacy, glow,
                   tflite_16x8, floor_shift_s32, onnx, ncnn) {
  check_lanes<TestType>(30'000, false);
  check_lanes<TestType>(30'000, true);
  CHECK(true);
}

TEST_CASE("requantize_lanes: 64-bit sums of 16-bit activations") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  for (int group = 0; group < 65'000; ++group) {
    std::array<tflite_16x8::parameters, 16> p;
    std::array<std::int64_t, 16> acc;
    std::array<std::int32_t, 16> got;
    for (auto& one : p) one = random_parameters<tflite_16x8>(random);
    for (auto& a : acc) a = uniform(random, INT64_MIN, INT64_MAX) >> uniform(random, 0, 62);
    const sparq::requantize_lanes<tflite_16x8> lanes({p.data(), 16, true});
    lanes(sparq::vec<std::int64_t>::load(acc.data())).store(got.data());
    for (std::size_t i = 0; i < 16; ++i)
      if (got[i] != definition(acc[i], p[i])) {
        INFO("acc " << acc[i]);
        REQUIRE(got[i] == definition(acc[i], p[i]));
      }
  }
}

namespace {

/// A policy of somebody else: no vector form.
struct halves {
  static constexpr std::string_view name = "halves";
  struct parameters {
    using policy = halves;
    std::int32_t plus = 0;
    sparq::status validate() const { return {}; }
  };
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return acc / 2 + p.plus; }
};

}  // namespace

TEST_CASE("requantize_lanes: a policy without a vector form runs lane by lane") {
  STATIC_REQUIRE(sparq::requantization_policy<halves>);
  const halves::parameters p[2] = {{1}, {5}};
  std::int32_t acc[16], got[16];
  for (int i = 0; i < 16; ++i) acc[i] = i - 8;
  sparq::requantize_lanes<halves>({p, 2, true})(sparq::vec<std::int32_t>::load(acc)).store(got);
  CHECK(got[0] == -8 / 2 + 1);
  CHECK(got[1] == -7 / 2 + 5);
}
