// SPDX-License-Identifier: MIT
#include <sparq/numeric/nemo.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

using namespace sparq;

TEST_CASE("nemo: D is the power of two that keeps the multiplier exact to 1 / 64") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int i = 0; i < 100000; ++i) {
    const double in = std::exp(static_cast<double>(random.real(-20.0F, 2.0F)));
    const double out = in * std::exp(static_cast<double>(random.real(-2.0F, 10.0F)));
    const floor_shift::parameters p = nemo_requantization(in, out, 8);
    REQUIRE(p.shift == std::min(24, std::max(0, static_cast<int>(std::ceil(std::log2(32 * out / in))))));
    REQUIRE(p.lambda == 0);
    if (p.shift < 24) REQUIRE(std::fabs(p.kappa * out / (std::ldexp(1.0, p.shift) * in) - 1) <= 1.0 / 64 + 1e-12);
  }
  CHECK(nemo_requantization(1, 1, 8) == floor_shift::parameters{32, 0, 5});
  CHECK(nemo_requantization(1, 1024, 8, 256) == floor_shift::parameters{256, 0, 18});
  CHECK(nemo_requantization(1, 1e9, 8).shift == 24);   // at most 2^(32 - bits)
  CHECK(nemo_requantization(1, 1e9, 2).shift == 30);
}

TEST_CASE("nemo: steps that are no positive numbers are refused") {
  CHECK(try_nemo_requantization(0, 1, 8).error().message() == "nemo: step 0 is not positive and finite");
  CHECK(!try_nemo_requantization(1, INFINITY, 8).ok());
  CHECK(!try_nemo_requantization(NAN, 1, 8).ok());
  CHECK(try_nemo_requantization(1, 1, 0).error().message() == "nemo: 0 bits are not in [1, 8]");
  CHECK(try_nemo_requantization(1, 1, 8, 0.5).error().message() == "nemo: factor 0.5 is not in [1, 65536]");
  CHECK(!try_nemo_requantization(1e12, 1, 8).ok());
}

TEST_CASE("nemo: a batch normalization folds into the requantization behind it") {
  const floor_shift::parameters requant{37, 0, 9};
  const auto p = try_fold_batch_norm(-120, 5000, requant).value();
  CHECK(p == floor_shift::parameters{-120 * 37, 5000 * 37, 9});
  for (std::int32_t acc = -3000; acc < 3000; acc += 7)
    CHECK(floor_shift::apply(acc, p) == floor_shift::apply(-120 * acc + 5000, requant));
  CHECK(try_fold_batch_norm(1 << 20, 0, {1 << 12, 0, 9}).error().message() ==
        "nemo: kappa 1048576 and lambda 0 times 4096 do not fit");
  CHECK(!try_fold_batch_norm(1, std::int64_t{1} << 60, {4, 0, 9}).ok());
  CHECK(try_fold_batch_norm(1, 0, {4, INT64_MIN, 9}).error().message() ==
        "nemo: floor_shift: lambda -9223372036854775808 is not in (-2^62, 2^62)");
  CHECK(try_fold_batch_norm(1, 0, {4, 0, 64}).error().message() == "nemo: floor_shift: shift 64 is not in [0, 63]");
}

namespace {

/// One layer of NEMO: weights, the multiplier of an integer batch normalization, and the step of its output.
struct layer {
  std::int32_t weight, kappa;
  std::int64_t lambda;
  double step_weight, step_kappa, step_out;
};

}  // namespace

TEST_CASE("nemo: three layers in double and in integers agree") {
  sparq_test::random_source random;
  INFO(random.text());
  for (int turn = 0; turn < 20000; ++turn) {
    double step = 1.0 / 255;
    std::int32_t code = random.between(0, 255);
    double real = step * code;
    for (int depth = 0; depth < 3; ++depth) {
      const layer l{random.between(-127, 127), random.between(-200, 200), random.between(-100000, 100000),
                    std::ldexp(1.0, -random.between(5, 9)), std::ldexp(1.0, -random.between(3, 8)),
                    static_cast<double>(random.real(0.001F, 0.1F))};
      const double in = step * l.step_weight * l.step_kappa;
      const auto requant = try_nemo_requantization(in, l.step_out, 8);
      REQUIRE(requant.ok());
      // integers only
      const std::int64_t sum = std::int64_t{l.kappa} * (std::int64_t{l.weight} * code) + l.lambda;
      const auto q = std::int64_t{floor_shift::apply(static_cast<std::int32_t>(sum), *requant)};
      const auto integer = static_cast<std::int32_t>(q < 0 ? 0 : q > 255 ? 255 : q);
      // real numbers: t, then floor(t / step_in * m / D)
      const double t = in * static_cast<double>(l.kappa) * (static_cast<double>(l.weight) * std::round(real / step)) +
                       in * static_cast<double>(l.lambda);
      const double steps = std::floor(std::round(t / in) * requant->kappa / std::ldexp(1.0, requant->shift));
      real = l.step_out * std::fmin(std::fmax(steps, 0), 255);
      code = integer;
      step = l.step_out;
      REQUIRE(std::round(real / step) == code);
    }
  }
}
