// SPDX-License-Identifier: MIT
#pragma once
// Which loop multiplies a tensor fastest, by trying. The plan's estimates hold for the CPUs and sizes that they were
// fitted to (docs/plan.md); where that is in doubt, a program has the loops timed on the machine that it runs on, once,
// while it loads its weights.
//
//   const auto packed = pack_fastest(w, m, [&](const auto& weights) {
//     return try_gemm(x, weights, y, stages, serial, scratch);
//   });

#include <sparq/plan/best_seconds.hpp>
#include <sparq/plan/planned.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {
SPARQ_ABI_BEGIN

/// How loops are timed.
struct measuring {
  /// About as long for each loop, and five products at least; three times as long for loops that are close.
  double seconds = 0.01;
  /// Packed forms of each loop that take turns. One stays in the caches as far as it fits; the layers of a network push
  /// each other out, as do as many copies as have more bytes together than the last cache.
  std::size_t copies = 1;
  /// X and Y by columns leave the columns loop alone.
  x_layout layout = x_layout::row_major;
};

/// What one loop takes.
struct loop_time {
  loop_kind loop = loop_kind::rows;
  double seconds = 0;           // of one product, the best of those that were timed
  double estimated_cycles = 0;  // what the plan thinks; infinite for a loop that it leaves out
};

/// "measured: columns 10.1 us, rows 12.3 us".
inline std::string to_string(std::span<const loop_time> times) {
  std::string text = "measured:";
  for (const loop_time& time : times) {
    char number[32];
    std::snprintf(number, sizeof number, " %.4g us", 1e6 * time.seconds);
    text += (&time == times.data() ? " " : ", ") + std::string(to_string(time.loop)) + number;
  }
  return text;
}

/// Times the loops that take the tensor, fastest first, in turns.
/// - `m`: rows of X that the columns loop is packed for, and of the estimates, whose `X` and `Y` are estimate_loops'
/// - `product`: product(planned) multiplies by these weights and returns a status. Operands, executor and workspace are
///   the caller's; they should be like those of the product that counts. A loop whose product is refused is left out
/// It allocates the tensor's packed form for every loop, `copies` times, and frees them in the end; it runs nothing but
/// the product. `Clock` is a clock of std::chrono's kind. Errors: that of the last product, if all are refused.
/// Complexity O(n k) besides the products.
template <class X = void, class Y = void, class Clock = std::chrono::steady_clock, format F, numeric N,
          quantization_granularity G, class Product>
expected<std::vector<loop_time>> try_measure_loops(const tensor<F, N, G>& w, std::size_t m, Product&& product,
                                                   const measuring& how = {}) {
  using packed_type = planned<tensor<F, N, G>>;
  const auto multiply = [&](const packed_type& by) -> status {
    constexpr bool returns_status = std::is_same_v<std::invoke_result_t<Product&, const packed_type&>, status>;
    static_assert(
        returns_status,
        "sparq: a product that is measured returns a status; call try_gemm in it and return what that returns");
    if constexpr (returns_status) return product(by);
    return {};
  };
  const loop_costs costs = estimate_loops<X, Y>(w.view(), m, how.layout);
  const double cycles[] = {costs.rows, costs.columns, costs.expand, costs.window};  // in the order of loop_kind
  status refused =
      status::failure("measure_loops: X by columns runs in the columns loop, which does not take these weights");
  std::vector<loop_time> times;
  std::vector<std::vector<packed_type>> weights;  // [of times][copies]
  for (const loop_kind loop : packed_type::loops) {
    if (how.layout == x_layout::k_major && loop != loop_kind::columns) continue;
    std::vector<packed_type> copies((std::max)(how.copies, std::size_t{1}), pack_for(w, loop, for_rows{m}));
    if (status s = multiply(copies.front()); !s.ok()) {
      refused = std::move(s);
      continue;
    }
    times.push_back({loop, 0, cycles[static_cast<std::size_t>(loop)]});
    weights.push_back(std::move(copies));
  }
  if (times.empty()) return refused;
  constexpr double close = 1.1;  // loops that noise may have told apart wrongly are timed again, all others left alone
  std::vector<std::size_t> timed(times.size()), calls(times.size());
  std::iota(timed.begin(), timed.end(), std::size_t{0});
  for (int turn = 0; turn == 0 || (turn < 3 && timed.size() > 1); ++turn) {
    const std::vector<double> seconds =
        best_seconds_of<Clock>(timed.size(), how.seconds, [&](std::size_t i, std::size_t) {
          const std::vector<packed_type>& copies = weights[timed[i]];  // goes on with others than were timed before
          static_cast<void>(multiply(copies[calls[timed[i]]++ % copies.size()]));
        });
    for (std::size_t i = 0; i < timed.size(); ++i)
      times[timed[i]].seconds = turn == 0 ? seconds[i] : (std::min)(times[timed[i]].seconds, seconds[i]);
    const double least = std::ranges::min(times, {}, &loop_time::seconds).seconds;
    std::erase_if(timed, [&](std::size_t i) { return times[i].seconds > close * least; });
  }
  std::ranges::stable_sort(times, {}, &loop_time::seconds);
  return times;
}
/// Throwing twin.
template <class X = void, class Y = void, class Clock = std::chrono::steady_clock, format F, numeric N,
          quantization_granularity G, class Product>
std::vector<loop_time> measure_loops(const tensor<F, N, G>& w, std::size_t m, Product&& product,
                                     const measuring& how = {}) {
  return try_measure_loops<X, Y, Clock>(w, m, product, how).value();
}

/// Packs for the loop that measure_loops finds fastest. The advice of the result, which explain_gemm passes on, is what
/// all of them took. Errors: as there.
template <class Clock = std::chrono::steady_clock, format F, numeric N, quantization_granularity G, class Product>
expected<planned<tensor<F, N, G>>> try_pack_fastest(const tensor<F, N, G>& w, std::size_t m, Product&& product,
                                                    const measuring& how = {}) {
  const auto times = try_measure_loops<void, void, Clock>(w, m, product, how);
  if (!times) return times.error();
  planned<tensor<F, N, G>> result = pack_for(w, times->front().loop, for_rows{m});
  result.set_advice(to_string(*times));
  return result;
}
/// Throwing twin.
template <class Clock = std::chrono::steady_clock, format F, numeric N, quantization_granularity G, class Product>
planned<tensor<F, N, G>> pack_fastest(const tensor<F, N, G>& w, std::size_t m, Product&& product,
                                      const measuring& how = {}) {
  return try_pack_fastest<Clock>(w, m, product, how).value();
}

SPARQ_ABI_END
}  // namespace sparq
