// SPDX-License-Identifier: MIT
#include <sparq/op/integer_add.hpp>
#include <sparq/sparq.hpp>  // no name of another header may hide what the operation calls

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace sparq;

namespace {

template <class L, class R, class Y>
void check_integer_add(sparq_test::random_source& random, std::size_t count) {
  std::vector<L> left(count);
  std::vector<R> right(count);
  std::vector<Y> y(count);
  for (auto& v : left) v = static_cast<L>(random.between(INT32_MIN, INT32_MAX));
  for (auto& v : right) v = static_cast<R>(random.between(INT32_MIN, INT32_MAX));
  integer_add_parameters p{random.between(-70000, 70000), random.between(-70000, 70000), random.between(0, 40), -90,
                           100};
  if (random.chance(0.5))
    p = {random.between(-2000, 2000), random.between(-2000, 2000), random.between(0, 20), -90, 100};
  integer_add<L, R, Y>({left, 1}, {right, 1}, {y, 1}, p);
  const std::int64_t low = std::is_signed_v<Y> ? -90 : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t sum = std::int64_t{left[i]} * p.left_factor + std::int64_t{right[i]} * p.right_factor;
    const auto floor = static_cast<std::int64_t>(sum >= 0 ? sum / (1LL << p.shift)
                                                          : -((-sum + (1LL << p.shift) - 1) / (1LL << p.shift)));
    REQUIRE(y[i] == (floor < low ? low : floor > 100 ? 100 : floor));
  }
}

}  // namespace

TEST_CASE("integer_add: equals exact arithmetic, in 32 bits and in 64") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t turn = 0; turn < 200; ++turn) {
    check_integer_add<std::int8_t, std::int8_t, std::int8_t>(random, turn);
    check_integer_add<std::uint8_t, std::int8_t, std::uint8_t>(random, turn);
    check_integer_add<std::int16_t, std::uint8_t, std::int16_t>(random, turn);
    check_integer_add<std::int32_t, std::int8_t, std::int8_t>(random, turn);
  }
}

TEST_CASE("integer_add: steps that differ need factors") {
  std::vector<std::int8_t> a{100, -100, 3}, b{100, -100, -3}, y(3);
  const stepped_span<const std::int8_t> left{a, 0.5}, right{b, 0.25};
  CHECK(try_integer_add<std::int8_t, std::int8_t, std::int8_t>(left, right, {y, 0.5}).message() ==
        "integer_add: steps 0.5, 0.25 and 0.5 differ; bring them together with integer_add_parameters::try_from");
  CHECK(!try_integer_add<std::int8_t, std::int8_t, std::int8_t>(left, {b, 0.5}, {y, 1}).ok());
  integer_add<std::int8_t, std::int8_t, std::int8_t>(left, {b, 0.5}, {y, 0.5});
  CHECK(y == std::vector<std::int8_t>{127, -128, 0});
  const auto p = integer_add_parameters::try_from(0.5, 0.25, integer_add_parameters::out_step(0.5, 0.25)).value();
  CHECK(p.shift == 7);  // 32 * 1 / 0.25
  CHECK(p.left_factor == 64);
  CHECK(p.right_factor == 32);
  integer_add<std::int8_t, std::int8_t, std::int8_t>(left, right, {y, 1}, p);
  CHECK(y == std::vector<std::int8_t>{75, -75, 0});  // 50 + 25, -75, 1.5 - 0.75 rounded down
}

TEST_CASE("integer_add: the largest sums of int32 codes fit") {
  const std::vector<std::int32_t> x(17, INT32_MIN);
  std::vector<std::int32_t> y(17);
  using codes = stepped_span<const std::int32_t>;
  // 2^63 - 2^32
  for (const auto& [shift, want] : {std::pair{0, INT32_MAX}, {32, INT32_MAX}, {33, (1 << 30) - 1}, {62, 1}}) {
    INFO("shift " << shift);
    integer_add<std::int32_t, std::int32_t, std::int32_t>(codes{x, 1}, codes{x, 1}, {y, 1},
                                                          {-INT32_MAX, -INT32_MAX, shift});
    CHECK(y == std::vector<std::int32_t>(17, want));
  }
}

TEST_CASE("integer_add: what does not fit is refused") {
  std::vector<std::int8_t> two(2), three(3);
  using codes = stepped_span<const std::int8_t>;
  const auto add = [&](codes l, codes r, integer_add_parameters p) {
    return try_integer_add<std::int8_t, std::int8_t, std::int8_t>(l, r, {three, 1}, p).message();
  };
  CHECK(add({two, 1}, {three, 1}, {}) == "integer_add: 2 and 3 codes, Y has 3");
  CHECK(add({three, 1}, {three, 1}, {1, 1, 63}) == "integer_add: shift 63 is not in [0, 62]");
  CHECK(add({three, 1}, {three, 1}, {1, INT32_MIN}) ==
        "integer_add: factor -2147483648 is not in [-2147483647, 2147483647]");
  CHECK(add({three, 1}, {three, 1}, {1, 1, 0, 5, 4}) == "integer_add: clamps to [5, 4]");
  CHECK(integer_add_parameters::try_from(0, 1, 1).error().message() ==
        "integer_add: step 0 is not positive and finite");
  CHECK(!integer_add_parameters::try_from(1e12, 1, 1).ok());
  CHECK(integer_add_parameters::try_from(1, 1, 1, 0).error().message() == "integer_add: factor 0 is not in [1, 65536]");
}
