// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/plan/measure_loops.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

using namespace sparq;
using namespace std::chrono_literals;
using sparq_test::fake_clock;

namespace {

tensor<csr, s8> random_csr() {
  sparq_test::random_source random(1);
  return sparq_test::random_tensor<csr, s8>({37, 99}, sparq_test::value_style::any, random);
}

using loop_microseconds = std::map<loop_kind, std::chrono::microseconds>;

/// A product of weights in any loop, which takes as long as the clock is told.
auto taking(const loop_microseconds& times) {
  return [&times](const auto& weights) {
    fake_clock::time += times.at(weights.loop());
    return status();
  };
}

std::vector<loop_kind> loops_of(const std::vector<loop_time>& times) {
  std::vector<loop_kind> loops;
  for (const loop_time& time : times) loops.push_back(time.loop);
  return loops;
}

constexpr measuring briefly{0, 1, x_layout::row_major};

}  // namespace

TEST_CASE("measure_loops: every loop that takes the tensor, fastest first, beside the plan's estimates") {
  const auto w = random_csr();
  const loop_microseconds all = {
      {loop_kind::rows, 12us}, {loop_kind::columns, 10us}, {loop_kind::expand, 1500us}, {loop_kind::window, 10us}};
  const auto times = measure_loops<std::uint8_t, std::uint8_t, fake_clock>(w, 13, taking(all), briefly);
  CHECK(loops_of(times) == std::vector{loop_kind::columns, loop_kind::window, loop_kind::rows, loop_kind::expand});
  const loop_costs costs = estimate_loops<std::uint8_t, std::uint8_t>(w.view(), 13);
  const std::map<loop_kind, double> estimated = {{loop_kind::rows, costs.rows},
                                                 {loop_kind::columns, costs.columns},
                                                 {loop_kind::expand, costs.expand},
                                                 {loop_kind::window, costs.window}};
  for (const loop_time& time : times) {
    CHECK(time.seconds == std::chrono::duration<double>(all.at(time.loop)).count());
    CHECK(time.estimated_cycles == estimated.at(time.loop));
  }
  CHECK(to_string(times) == "measured: columns 10 us, window 10 us, rows 12 us, expand 1500 us");

  const auto d = encode<dense, s8>(std::vector<float>(32 * 64, 1.0F), {32, 64});
  CHECK(loops_of(measure_loops<void, void, fake_clock>(d, 13, taking(all), briefly)) ==
        std::vector{loop_kind::columns, loop_kind::rows, loop_kind::expand});
}

TEST_CASE("measure_loops: whichever loop is quickest is packed for, and explain_gemm tells the times") {
  const auto w = random_csr();
  for (const loop_kind quickest : {loop_kind::rows, loop_kind::columns, loop_kind::expand, loop_kind::window}) {
    loop_microseconds times = {
        {loop_kind::rows, 20us}, {loop_kind::columns, 20us}, {loop_kind::expand, 20us}, {loop_kind::window, 20us}};
    times[quickest] = 19us;
    const auto packed = pack_fastest<fake_clock>(w, 13, taking(times), briefly);
    CHECK(packed.loop() == quickest);
    CHECK(packed.advice().find("measured: " + std::string(to_string(quickest)) + " 19 us, ") == 0);
    CHECK(explain_gemm<std::uint8_t, std::int32_t>(13, packed).advice == packed.advice());
  }
}

TEST_CASE("measure_loops: loops that are close are timed again, others are not") {
  const auto w = random_csr();
  std::map<loop_kind, int> calls;
  const auto product = [&](const auto& weights) {
    const int call = calls[weights.loop()]++;
    const bool disturbed = weights.loop() == loop_kind::rows && call < 20;  // longer than it is timed at first
    fake_clock::time += weights.loop() == loop_kind::rows      ? (disturbed ? 104us : 96us)
                        : weights.loop() == loop_kind::columns ? 100us
                                                               : 120us;
    return status();
  };
  const auto times = measure_loops<void, void, fake_clock>(w, 13, product, briefly);
  CHECK(times.front().loop == loop_kind::rows);
  CHECK(times.front().seconds == std::chrono::duration<double>(96us).count());
  CHECK(calls[loop_kind::rows] > 2 * calls[loop_kind::expand]);
  CHECK(calls[loop_kind::columns] == calls[loop_kind::rows]);
  CHECK(calls[loop_kind::window] == calls[loop_kind::expand]);
}

TEST_CASE("measure_loops: products of all loops are equal, and the one that is picked runs") {
  const auto w = random_csr();
  sparq_test::random_source random;
  INFO(random.text());
  std::vector<std::uint8_t> x(13 * 99);
  sparq_test::fill_codes<u8>(x, sparq_test::value_style::any, random);
  const matrix_view<const std::uint8_t> x_view(x.data(), 13, 99);
  const auto want = reference_gemm(x_view, w.view());
  std::vector<std::int32_t> y(13 * 37);
  workspace scratch;
  std::set<loop_kind> ran;
  const auto product = [&](const auto& weights) {
    std::ranges::fill(y, -1);
    const status s = try_gemm(x_view, weights, matrix_view(y.data(), 13, 37), epilogue<>{}, serial, scratch);
    CHECK(y == want);
    ran.insert(weights.loop());
    return s;
  };
  const auto packed = pack_fastest(w, 13, product, briefly);
  CHECK(ran.size() == 4);
  CHECK(product(packed).ok());
}

TEST_CASE("measure_loops: X by columns is for the columns loop alone") {
  const auto w = random_csr();
  const std::vector<std::uint8_t> x(13 * 99, 1);
  std::vector<std::int32_t> y(13 * 37);
  workspace scratch;
  const auto product = [&](const auto& weights) {
    return try_gemm(k_major_view<const std::uint8_t>(x.data(), 13, 99), weights, k_major_view(y.data(), 13, 37),
                    epilogue<>{}, serial, scratch);
  };
  for (const x_layout layout : {x_layout::k_major, x_layout::row_major}) {  // said, or found out as the others are refused
    const auto times = measure_loops(w, 13, product, {0, 1, layout});
    CHECK(loops_of(times) == std::vector{loop_kind::columns});
  }

  sparq_test::random_source random(1);
  const auto buckets = sparq_test::random_tensor<dense, codebook<4, s8, per_bucket<256>>>(
      mask({32, 64}, true), sparq_test::value_style::any, random);
  const auto never = [](const auto&) {
    FAIL("no loop takes it");
    return status();
  };
  CHECK(try_measure_loops(buckets, 13, never, {0, 1, x_layout::k_major}).error().message() ==
        "measure_loops: X by columns runs in the columns loop, which does not take these weights");
}

TEST_CASE("measure_loops: a product that no loop takes is refused with its own words") {
  const auto w = random_csr();
  const std::vector<std::uint8_t> x(13 * 98);
  std::vector<std::int32_t> y(13 * 37);
  workspace scratch;
  const auto product = [&](const auto& weights) {
    return try_gemm(matrix_view(x.data(), 13, 98), weights, matrix_view(y.data(), 13, 37), epilogue<>{}, serial, scratch);
  };
  const std::string message = product(pack_for(w, loop_kind::rows)).message();
  CHECK(try_measure_loops(w, 13, product, briefly).error().message() == message);
  CHECK(try_pack_fastest(w, 13, product, briefly).error().message() == message);
  CHECK_THROWS(measure_loops(w, 13, product, briefly));
  CHECK_THROWS(pack_fastest(w, 13, product, briefly));
}

TEST_CASE("measure_loops: copies take turns") {
  const auto w = random_csr();
  for (const std::size_t copies : {0U, 1U, 3U}) {
    std::map<loop_kind, std::set<const void*>> met;
    const auto product = [&](const auto& weights) {
      met[weights.loop()].insert(&weights);
      return status();
    };
    static_cast<void>(measure_loops<void, void, fake_clock>(w, 13, product, {0, copies, x_layout::row_major}));
    CHECK(met.size() == 4);
    for (const auto& [loop, addresses] : met) CHECK(addresses.size() == (std::max)(copies, std::size_t{1}));
  }
}
