// SPDX-License-Identifier: MIT
#include <sparq/numeric/requantize.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/requantization.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace sparq_test;

template <class Policy>
std::vector<std::int32_t> applied(const std::vector<std::int32_t>& accumulators, typename Policy::parameters p) {
  std::vector<std::int32_t> results;
  for (const std::int32_t acc : accumulators) results.push_back(Policy::apply(acc, p));
  return results;
}

template <class Function>
std::string sentence_of(Function&& raising) {
  try {
    raising();
  } catch (const sparq::error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("requantize: every policy satisfies the concept") {
  STATIC_REQUIRE(sparq::requantization_policy<tflite_double>);
  STATIC_REQUIRE(sparq::requantization_policy<tflite_single>);
  STATIC_REQUIRE(sparq::requantization_policy<fp32_nearest_even>);
  STATIC_REQUIRE(sparq::requantization_policy<floor_shift>);
  STATIC_REQUIRE(!sparq::requantization_policy<sparq::s8>);
}

// ---- published values -----------------------------------------------------------------------------------------------

TEST_CASE("requantize: accumulator 7984 tells double from single rounding") {  // tensorflow#25087, exact 11.4991
  STATIC_REQUIRE(tflite_double::apply(7984, {1583594044, -9}) == 12);
  STATIC_REQUIRE(tflite_single::apply(7984, {1583594044, -9}) == 11);
}

TEST_CASE("requantize: accumulator 585 tells float from fixed point") {  // tensorflow#103028, fl(product) is 6.5
  constexpr float input = 0.05296124517917633f;
  constexpr float weight = 0.024093778803944588f;
  constexpr float output = 0.11484327912330627f;
  constexpr double real = double{input} * double{weight} / double{output};
  const auto output_code = [](auto parameters) {
    return std::int32_t{sparq::requantize_to<sparq::s8>(585, parameters, -126, -128, 127)};
  };
  CHECK(output_code(fp32_nearest_even::from_scales(input, weight, output)) == -120);
  CHECK(output_code(tflite_double::from_real(real)) == -119);
  CHECK(output_code(tflite_single::from_real(real)) == -119);
}

TEST_CASE("requantize: the high multiplication of tflite_double rounds ties up") {
  // SaturatingRoundingDoublingHighMul(x, 2^30), nothing left to shift
  CHECK(applied<tflite_double>({-3, -1, 1, 3}, {1 << 30, 0}) == std::vector<std::int32_t>{-1, 0, 1, 2});
}

TEST_CASE("requantize: the shift of tflite_double rounds ties away from zero") {
  // The factor is so near to 1 that small numbers pass the multiplication unchanged: RoundingDivideByPOT(x, 1).
  CHECK(applied<tflite_double>({-3, -1, 1, 3}, {highest, -1}) == std::vector<std::int32_t>{-2, -1, 1, 2});
}

TEST_CASE("requantize: tflite_single rounds ties up") {
  CHECK(applied<tflite_single>({-6, -3, -2, -1, 1, 2, 3, 6}, {1 << 30, -1}) ==
        std::vector<std::int32_t>{-1, -1, 0, 0, 0, 1, 1, 2});
}

TEST_CASE("requantize: fp32_nearest_even rounds ties to even") {
  CHECK(applied<fp32_nearest_even>({-7, -5, -3, -1, 1, 3, 5, 7}, {0.5f}) ==
        std::vector<std::int32_t>{-4, -2, -2, 0, 0, 2, 2, 4});
}

TEST_CASE("requantize: fp32_nearest_even loses the low bits of large accumulators") {
  CHECK(fp32_nearest_even::apply((1 << 24) + 1, {1.0f}) == 1 << 24);
  CHECK(fp32_nearest_even::apply((1 << 24) + 3, {1.0f}) == (1 << 24) + 4);
}

TEST_CASE("requantize: floor_shift rounds down") {
  CHECK(applied<floor_shift>({-5, -4, -1, 0, 3, 4, 5}, {1, 0, 2}) == std::vector<std::int32_t>{-2, -1, -1, 0, 0, 1, 1});
  CHECK(applied<floor_shift>({-5, -4, -1, 0, 3, 4, 5}, {3, -1, 1}) ==
        std::vector<std::int32_t>{-8, -7, -2, -1, 4, 5, 7});
}

TEST_CASE("requantize: floor_shift does not wrap where 16-bit intermediates would") {
  // 200000 * 60 >> 8 is 46875; cut to int16 it turns negative and is clipped to 0.
  CHECK(sparq::requantize_to<sparq::u8>(200000, floor_shift::parameters{60, 0, 8}, 0, 0, 255) == 255);
}

TEST_CASE("requantize: one factor, one vector, and no two roundings agree") {
  // 0.00144028 as 1583594044 * 2^-40 and, for the half-up rounding of 8-bit multipliers, as 189 * 2^-17
  const std::vector<std::int32_t> accumulators{7984, 1100, 7980, -7984};
  const std::int32_t multiplier = 1583594044;
  CHECK(applied<floor_shift>(accumulators, {multiplier, 0, 40}) == std::vector<std::int32_t>{11, 1, 11, -12});
  CHECK(applied<floor_shift>(accumulators, {189, 1 << 16, 17}) == std::vector<std::int32_t>{12, 2, 12, -12});
  CHECK(applied<tflite_double>(accumulators, {multiplier, -9}) == std::vector<std::int32_t>{12, 2, 11, -12});
  CHECK(applied<tflite_single>(accumulators, {multiplier, -9}) == std::vector<std::int32_t>{11, 2, 11, -11});
}

TEST_CASE("requantize: the same multiplier and a tie separate all policies") {
  // acc / 4 for acc = -6, -2, 2, 6, 10: -1.5, -0.5, 0.5, 1.5, 2.5
  const std::vector<std::int32_t> accumulators{-6, -2, 2, 6, 10};
  CHECK(applied<floor_shift>(accumulators, {1, 0, 2}) == std::vector<std::int32_t>{-2, -1, 0, 1, 2});
  CHECK(applied<tflite_single>(accumulators, {1 << 30, -1}) == std::vector<std::int32_t>{-1, 0, 1, 2, 3});
  CHECK(applied<tflite_double>(accumulators, {1 << 30, -1}) == std::vector<std::int32_t>{-2, -1, 1, 2, 3});
  CHECK(applied<fp32_nearest_even>(accumulators, {0.25f}) == std::vector<std::int32_t>{-2, 0, 0, 2, 2});
  CHECK(applied<ncnn>(accumulators, {0.25f}) == std::vector<std::int32_t>{-2, -1, 1, 2, 3});
  CHECK(applied<onnx>(accumulators, {1.0f, 4.0f}) == std::vector<std::int32_t>{-2, 0, 0, 2, 2});
  // the sum loses a bit first
  CHECK(applied<glow>(accumulators, {1, 1, 1}) == std::vector<std::int32_t>{-1, 0, 1, 2, 3});
}

TEST_CASE("requantize: double and single rounding differ on 1.26 percent of small accumulators") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  constexpr int trials = 400'000;
  int different = 0;
  for (int i = 0; i < trials; ++i) {
    const auto acc = uniform(random, -30000, 30000);
    const auto multiplier = uniform<std::int32_t>(random, 1 << 30, highest);
    const auto shift = uniform(random, -12, -3);
    if (tflite_double::apply(acc, {multiplier, shift}) != tflite_single::apply(acc, {multiplier, shift})) ++different;
  }
  const double percent = 100.0 * different / trials;
  CHECK(percent > 1.26 - 0.12);  // the standard deviation is 0.018
  CHECK(percent < 1.26 + 0.12);
}

// ---- against the definitions ----------------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("requantize: a million random accumulators agree with the definition", "", tflite_double,
                   tflite_single, fp32_nearest_even, floor_shift) {
  const int ends = check_definition<TestType>();
  // tflite_double saturates before it multiplies by less than 1, so its results stay inside the ends.
  if constexpr (!std::is_same_v<TestType, tflite_double>) CHECK(ends > 1000);
}

TEMPLATE_TEST_CASE("requantize: ties and their neighbours agree with the definition", "", tflite_double,
                   tflite_single) {
  // multiplier 2^30 makes every odd multiple of 2^-shift a tie
  for (int shift = -20; shift <= 0; ++shift)
    for (std::int32_t odd = -101; odd <= 101; odd += 2)
      for (std::int32_t near = -1; near <= 1; ++near) {
        const std::int32_t acc = odd * (1 << -shift) + near;
        const typename TestType::parameters p{1 << 30, shift};
        if (TestType::apply(acc, p) != definition(acc, p)) {
          INFO("acc " << acc << ", shift " << shift);
          REQUIRE(TestType::apply(acc, p) == definition(acc, p));
        }
      }
}

TEST_CASE("requantize: the ends of int32 saturate and never wrap") {
  CHECK(applied<tflite_double>({lowest, -2, -1, 0, 1, 2, highest}, {1 << 30, 31}) ==
        std::vector<std::int32_t>{-(1 << 30), -(1 << 30), -(1 << 30), 0, 1 << 30, 1 << 30, 1 << 30});
  CHECK(applied<tflite_double>({lowest, highest}, {highest, 0}) == std::vector<std::int32_t>{-highest, highest - 1});
  CHECK(applied<tflite_double>({lowest, highest}, {1 << 30, -31}) == std::vector<std::int32_t>{-1, 1});
  CHECK(applied<tflite_single>({lowest, -1, 0, 1, highest}, {highest, 30}) ==
        std::vector<std::int32_t>{lowest, -(1 << 30) + 1, 0, 1 << 30, highest});
  CHECK(applied<fp32_nearest_even>({lowest, -1, 0, 1, highest}, {3e38f}) ==
        std::vector<std::int32_t>{lowest, lowest, 0, highest, highest});
  CHECK(applied<floor_shift>({lowest, highest}, {lowest, 0, 0}) == std::vector<std::int32_t>{highest, lowest});
  CHECK(applied<floor_shift>({lowest}, {lowest, (std::int64_t{1} << 62) - 1, 62}) == std::vector<std::int32_t>{1});
}

TEST_CASE("requantize: floor_shift with half a unit added is tflite_single") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  for (int i = 0; i < 200'000; ++i) {
    const auto p = random_parameters<tflite_single>(random);
    const std::int32_t acc = random_accumulator(random);
    const int total = 31 - p.shift;
    const floor_shift::parameters half_up{p.multiplier, std::int64_t{1} << (total - 1), total};
    if (floor_shift::apply(acc, half_up) != tflite_single::apply(acc, p)) {
      INFO("acc " << acc << ", multiplier " << p.multiplier << ", shift " << p.shift);
      REQUIRE(floor_shift::apply(acc, half_up) == tflite_single::apply(acc, p));
    }
  }
}

TEST_CASE("requantize: clamping in float before rounding gives the integers of XNNPACK") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  const auto xnnpack = [](std::int32_t acc, float scale, std::int32_t zero_point, std::int32_t min, std::int32_t max) {
    const float product = static_cast<float>(acc) * scale;
    const float clamped =
        (std::min)((std::max)(product, static_cast<float>(min - zero_point)), static_cast<float>(max - zero_point));
    return static_cast<std::int32_t>(std::lrint(clamped)) + zero_point;
  };
  for (int i = 0; i < 500'000; ++i) {
    const auto p = random_parameters<fp32_nearest_even>(random);
    const std::int32_t acc = random_accumulator(random);
    const auto zero_point = uniform(random, -128, 127);
    const auto bounds = std::minmax({uniform(random, -128, 127), uniform(random, -128, 127)});
    const std::int32_t ours = sparq::requantize_to<sparq::s8>(acc, p, zero_point, bounds.first, bounds.second);
    if (ours != xnnpack(acc, p.scale, zero_point, bounds.first, bounds.second)) {
      INFO("acc " << acc << ", scale " << p.scale << ", zero point " << zero_point);
      REQUIRE(ours == xnnpack(acc, p.scale, zero_point, bounds.first, bounds.second));
    }
  }
}

// ---- output codes ---------------------------------------------------------------------------------------------------

TEST_CASE("requantize: the zero point is added in 64 bits and the sum is clamped") {
  constexpr floor_shift::parameters same{1, 0, 0};
  STATIC_REQUIRE(sparq::requantize_to<sparq::s32>(highest, same, 1, lowest, highest) == highest);
  STATIC_REQUIRE(sparq::requantize_to<sparq::s32>(lowest, same, -1, lowest, highest) == lowest);
  STATIC_REQUIRE(sparq::requantize_to<sparq::u8>(highest, same, highest, 0, 255) == 255);
  STATIC_REQUIRE(sparq::requantize_to<sparq::u8>(-300, same, 310, 0, 255) == 10);
  STATIC_REQUIRE(sparq::requantize_to<sparq::s8>(50, same, -128, -128, 127) == -78);
  STATIC_REQUIRE(sparq::requantize_to<sparq::s8>(50, same, -128, -100, -90) == -90);
  STATIC_REQUIRE(sparq::requantize_to<sparq::s8>(0, same, -128, -100, -90) == -100);
  STATIC_REQUIRE(sparq::requantize_to<sparq::s4>(100, same, 0, -8, 7) == 7);
}

TEST_CASE("requantize: outputs of 1 to 8 bits are the clipped floor of the affine form") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  for (int bits = 1; bits <= 8; ++bits)
    for (int i = 0; i < 50'000; ++i) {
      const floor_shift::parameters p{uniform(random, -1000, 1000), uniform<std::int64_t>(random, -1 << 20, 1 << 20),
                                      uniform(random, 0, 20)};
      const auto acc = uniform(random, -(1 << 20), 1 << 20);
      const std::int32_t last = (1 << bits) - 1;
      const std::int64_t clipped = (std::min)((std::max)(definition(acc, p), std::int64_t{0}), std::int64_t{last});
      if (sparq::requantize_to<sparq::u8>(acc, p, 0, 0, last) != clipped) {
        INFO("acc " << acc << ", bits " << bits);
        REQUIRE(sparq::requantize_to<sparq::u8>(acc, p, 0, 0, last) == clipped);
      }
    }
}

// ---- parameters -----------------------------------------------------------------------------------------------------

TEST_CASE("requantize: multipliers of round factors") {
  using parameters = tflite_double::parameters;
  STATIC_REQUIRE(tflite_double::from_real(0.0) == parameters{0, 0});
  STATIC_REQUIRE(tflite_double::from_real(-0.0) == parameters{0, 0});
  STATIC_REQUIRE(tflite_double::from_real(0.25) == parameters{1 << 30, -1});
  STATIC_REQUIRE(tflite_double::from_real(0.5) == parameters{1 << 30, 0});
  STATIC_REQUIRE(tflite_double::from_real(0.75) == parameters{3 << 29, 0});
  STATIC_REQUIRE(tflite_double::from_real(1.0) == parameters{1 << 30, 1});
  STATIC_REQUIRE(tflite_double::from_real(1000.0) == parameters{2097152000, 10});
}

TEST_CASE("requantize: a multiplier that rounds up to 2^31 is halved") {
  STATIC_REQUIRE(tflite_double::from_real(1.0 - 0x1p-32) == tflite_double::parameters{1 << 30, 1});  // a tie
  STATIC_REQUIRE(tflite_double::from_real(1.0 - 0x1.00002p-32) == tflite_double::parameters{highest, 0});
}

TEST_CASE("requantize: factors that would shift everything out become zero") {
  STATIC_REQUIRE(tflite_double::from_real(0x1p-32) == tflite_double::parameters{1 << 30, -31});
  STATIC_REQUIRE(tflite_double::from_real(0x1.fffffffp-33) == tflite_double::parameters{0, 0});
  STATIC_REQUIRE(tflite_double::from_real(0x1.fffffffffffffp-33) == tflite_double::parameters{1 << 30, -31});
  STATIC_REQUIRE(tflite_single::from_real(0x1p-1074) == tflite_single::parameters{0, 0});
}

TEST_CASE("requantize: tflite_single lowers factors from 2^30 on to its largest") {
  STATIC_REQUIRE(tflite_single::from_real(0x1p29) == tflite_single::parameters{1 << 30, 30});
  STATIC_REQUIRE(tflite_single::from_real(0x1p30) == tflite_single::parameters{highest, 30});
  STATIC_REQUIRE(tflite_single::from_real(1e300) == tflite_single::parameters{highest, 30});
  STATIC_REQUIRE(tflite_double::from_real(0x1p30) == tflite_double::parameters{1 << 30, 31});
}

TEST_CASE("requantize: random factors become the multiplier that frexp gives") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  engine random(seed);
  std::uniform_real_distribution<double> mantissa(0.5, 1.0);
  for (int i = 0; i < 200'000; ++i) {
    const double m = std::ldexp(mantissa(random), uniform(random, -60, 60));
    int shift = 0;
    auto q31 = static_cast<std::int64_t>(std::round(std::frexp(m, &shift) * 0x1p31));
    if (q31 == std::int64_t{1} << 31) {
      q31 /= 2;
      ++shift;
    }
    if (shift < -31) {
      q31 = 0;
      shift = 0;
    }
    const sparq::fixed_point_multiplier ours = sparq::quantize_multiplier(m);
    if (ours.multiplier != q31 || ours.shift != shift) {
      INFO("m " << m);
      REQUIRE(std::pair(std::int64_t{ours.multiplier}, ours.shift) == std::pair(q31, shift));
    }
  }
}

TEST_CASE("requantize: factors that are no positive numbers are refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::string text : {"-0.5", "nan"})
    CHECK(tflite_double::try_from_real(std::stod(text)).error().message() ==
          "tflite_double: multiplier " + text + " is not in [0, 2^31)");
  CHECK(!tflite_double::try_from_real(infinity).ok());
  CHECK(!tflite_double::try_from_real(0x1p31).ok());
  CHECK(!tflite_double::try_from_real(0x1.fffffffffffffp30).ok());  // rounds up to 2^31
  CHECK(tflite_double::try_from_real(0x1.fffp30).ok());
  CHECK(tflite_single::try_from_real(-infinity).error().message() ==
        "tflite_single: multiplier -inf is not finite and 0 or more");
  CHECK(*tflite_single::try_from_real(0.5) == tflite_single::parameters{1 << 30, 0});
  CHECK(sentence_of([] { static_cast<void>(tflite_double::from_real(-1.0)); }) ==
        "tflite_double: multiplier -1 is not in [0, 2^31)");
  CHECK(sentence_of([&] { static_cast<void>(tflite_single::from_real(nan)); }) ==
        "tflite_single: multiplier nan is not finite and 0 or more");
}

TEST_CASE("requantize: parameters from elsewhere are checked") {
  CHECK(tflite_double::parameters{highest, -31}.validate().ok());
  CHECK(tflite_double::parameters{-1, 0}.validate().message() == "tflite_double: multiplier -1 is not 0 or more");
  CHECK(tflite_double::parameters{1, -32}.validate().message() == "tflite_double: shift -32 is not in [-31, 31]");
  CHECK(tflite_single::parameters{1, 31}.validate().message() == "tflite_single: shift 31 is not in [-31, 30]");
  CHECK(tflite_single::parameters{-2, 0}.validate().message() == "tflite_single: multiplier -2 is not 0 or more");
  CHECK(fp32_nearest_even::parameters{0.0f}.validate().ok());
  CHECK(fp32_nearest_even::parameters{-0.5f}.validate().message() ==
        "fp32_nearest_even: scale -0.5 is not finite and 0 or more");
  CHECK(!fp32_nearest_even::from_scales(1.0f, 1.0f, 0.0f).validate().ok());
  CHECK(floor_shift::parameters{-5, 7, 63}.validate().ok());
  CHECK(floor_shift::parameters{1, 0, 64}.validate().message() == "floor_shift: shift 64 is not in [0, 63]");
  CHECK(floor_shift::parameters{1, std::int64_t{1} << 62, 1}.validate().message() ==
        "floor_shift: lambda 4611686018427387904 is not in (-2^62, 2^62)");
}
