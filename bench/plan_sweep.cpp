// SPDX-License-Identifier: MIT
// sparq_plan_sweep: what the plan picks against what is fastest. Packs weights for every loop, times the loops in turns
// with each other and with the same weights in `dense`, and says where the pick takes longer than the best, and where
// the advice of the plan, that dense is as fast, is wrong; such cells are timed again first, and the least of both
// times counts. The pick is timed twice, as if it were two loops: how far these times are apart is noise. Times that
// were taken while somebody else computed on the core do not count, unless that does not end. Several matrices of a
// kind take turns, as the layers of a network do: where the loops of a single one end, the branch predictor would know
// by heart.

#include "bench/calm_machine.hpp"
#include "bench/number_in.hpp"
#include "bench/workbench/product_case.hpp"
#include "bench/wrapped.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sparq/base/amx.hpp>
#include <sparq/plan/best_seconds.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace sparq;

struct request {
  std::vector<std::string> shapes = {"768x768", "1024x1024", "256x2304", "64x576", "100x333", "769x767"};
  std::vector<std::string> numerics = {"u8xs8", "u8xs4", "f32xf32", "u8xs8>u8", "u8xs8:128", "s16xs8", "bf16xbf16",
                                       "u8xs2", "u8xternary", "u8xcodebook4"};
  std::vector<std::string> formats;
  std::size_t matrices = 0;  // as many as have 16 million weights together, 2 to 512
  std::vector<std::size_t> rows = {1, 2, 4, 8, 12, 16, 24, 32, 64, 128, 512};
  double seconds = 0.004;
  bool all = false;
  bool amx = false;
};

/// Advice is checked where dense is this much faster or slower than the pick.
constexpr double clear_margin = 0.1;

struct totals {
  std::size_t cells = 0, misses = 0, wrong_advice = 0, noisy = 0, disturbed = 0;
  double worst = 1;
};

/// The least times of `measure`, called until the machine was calm before and after it, 25 times at most; `disturbed`
/// counts the times that it never was. Others only ever slow things down, so times of calls that they disturbed count,
/// too.
template <class F>
auto measured_calmly(workbench::calm_machine& machine, std::size_t& disturbed, F&& measure) {
  bool calm = machine.is_calm();
  auto best = measure();
  for (int attempt = 1;; ++attempt) {
    const bool was_calm = std::exchange(calm, machine.is_calm());
    if (calm && was_calm) return best;
    if (attempt == 25) {
      ++disturbed;
      return best;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    const auto times = measure();
    for (std::size_t i = 0; i < best.size(); ++i) best[i] = std::min(best[i], times[i]);
  }
}

/// Matrices of a kind, packed for every loop, in their order. Those of one loop lie behind each other, as the layers of
/// a network do: what is asked for behind one is the next.
template <class Format, class W, class G>
struct packed_matrices {
  std::vector<tensor<Format, W, G>> w;
  std::array<std::vector<planned<tensor<Format, W, G>>>, 4> loops;
  std::vector<decltype(pack(std::declval<tensor<dense, W, G>>()))> dense_weights;

  packed_matrices(const std::vector<std::vector<float>>& weights, weight_shape shape, double sparsity) {
    for (const auto& one : weights)
      w.push_back(workbench::encoded<Format, W, G>(one, shape, workbench::keep_mask<Format>(one, shape, sparsity)));
    for (const loop_kind loop : {loop_kind::rows, loop_kind::columns, loop_kind::expand, loop_kind::window})
      pack_again(loop, {});
    std::vector<tensor<dense, W, G>> all;  // encoded first: nothing comes between packed forms
    for (const auto& one : weights) all.push_back(workbench::encoded<dense, W, G>(one, shape, mask(shape, true)));
    for (const auto& one : all) dense_weights.push_back(pack(one));
  }
  void pack_again(loop_kind loop, for_rows rows) {
    auto& packed = loops[static_cast<std::size_t>(loop)];
    packed.clear();
    for (const auto& one : w) packed.push_back(pack_for(one, loop, rows));
  }
};

/// What the products of a pair of numeric types are made of.
/// - `Y`: elements; bytes are sums with a scale for each channel, the others plain sums
template <class X_, class W_, class Y_, class G_ = default_granularity<W_>>
struct product_types {
  using X = X_;
  using W = W_;
  using Y = Y_;
  using G = G_;
};

/// The cells of one format at one sparsity, and what they add up to.
template <class Format, class Types>
void sweep_format(const request& asked, const std::string& numerics, double sparsity,
                  const std::vector<std::vector<float>>& weights, weight_shape shape,
                  workbench::calm_machine& machine, totals& sum) {
  using x_code = typename Types::X::code;
  using y_type = typename Types::Y;
  const std::string name = fmt::format("{} {:g} %", Format::name(), 100 * sparsity);
  if (!asked.formats.empty() && std::ranges::find(asked.formats, Format::name()) == asked.formats.end()) return;
  // others were packed for columns again
  constexpr bool has_windows = takes_windows_v<Format, typename Types::W, typename Types::G>;
  packed_matrices<Format, typename Types::W, typename Types::G> matrices(weights, shape, sparsity);
  for (const std::size_t m : asked.rows) {
    matrices.pack_again(loop_kind::columns, for_rows{m});
    std::vector<x_code> x(m * shape.k);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<x_code>(static_cast<float>(i * 37 % 101));
    std::vector<y_type> y(m * shape.n);
    const matrix_view<const x_code> x_view(x.data(), m, shape.k);
    const matrix_view<y_type> y_view(y.data(), m, shape.n);
    std::vector<fp32_nearest_even::parameters> scales(shape.n);
    for (auto& channel : scales) channel.scale = 1 / (50 * std::sqrt(static_cast<float>(shape.k)));
    const auto stages = [&] {
      if constexpr (std::is_same_v<y_type, std::uint8_t>)
        return epilogue(requantize_to_codes<u8>(std::span<const fp32_nearest_even::parameters>(scales), 128));
      else
        return epilogue<>{};
    }();
    workspace scratch;
    // each loop goes on with the next matrices when it is timed again: those from before may still lie in a cache
    std::array<std::size_t, 6> calls{};
    calls[5] = weights.size() / 2;
    const auto next = [&](std::size_t which, const auto& packed) -> const auto& {
      return packed[calls[which]++ % packed.size()];
    };
    const auto in_loop = [&](std::size_t loop) {
      return [&, loop](std::size_t) {
        gemm(x_view, next(loop, matrices.loops[loop]), y_view, stages, serial, scratch);
      };
    };
    const loop_costs costs = estimate_loops<x_code, y_type>(matrices.w.front().view(), m);
    const auto pick = static_cast<std::size_t>(costs.best());
    std::array<double, 6> seconds;  // of the loops, dense, and of the pick again
    seconds.fill(std::numeric_limits<double>::infinity());
    const auto time_loops = [&] {
      const auto in_dense = [&](std::size_t) {
        gemm(x_view, next(4, matrices.dense_weights), y_view, stages, serial, scratch);
      };
      const auto pick_again = [&](std::size_t) {
        gemm(x_view, next(5, matrices.loops[pick]), y_view, stages, serial, scratch);
      };
      const auto times = measured_calmly(machine, sum.disturbed, [&] {
        return sparq::best_seconds(asked.seconds, in_loop(0), in_loop(1), in_loop(2), in_loop(3), in_dense, pick_again);
      });
      for (std::size_t i = 0; i < seconds.size(); ++i)
        if (i != 3 || has_windows) seconds[i] = std::min(seconds[i], times[i]);
    };
    const bool advises_dense = costs.dense_is_as_fast() && !std::is_same_v<Format, dense>;
    double ratio = 0;
    bool wrong = false;
    for (int times = 0; times == 0 || (times == 1 && (ratio > 1.05 || wrong)); ++times) {
      time_loops();
      ratio = seconds[pick] / *std::min_element(seconds.begin(), seconds.begin() + 4);
      const double dense_ratio = seconds[4] / seconds[pick];
      wrong = !std::is_same_v<Format, dense> &&
              (advises_dense ? dense_ratio > 1 + clear_margin : dense_ratio < 1 - clear_margin);
    }
    ++sum.cells;
    const double repeat = std::max(seconds[5] / seconds[pick], seconds[pick] / seconds[5]);
    sum.noisy += repeat > 1.05;
    sum.misses += ratio > 1.05;
    sum.wrong_advice += wrong;
    sum.worst = std::max(sum.worst, ratio);
    if (!asked.all && ratio <= 1.05 && !wrong) continue;
    const auto micro = [&](std::size_t i) { return 1e6 * seconds[i]; };
    fmt::print("{:9} {:4} x {:10} {:22} rows {:8.1f} columns {:8.1f} expand {:8.1f} window {:8.1f} dense {:8.1f} us | "
               "plan {:8} {:.2f} x best, twice {:.2f}{}{}\n",
               numerics, m, fmt::format("{} x {}", shape.n, shape.k), name, micro(0), micro(1), micro(2), micro(3),
               micro(4), to_string(costs.best()), ratio, repeat, advises_dense ? ", advises dense" : "",
               wrong ? ", WRONG" : "");
    std::fflush(stdout);
  }
}

/// - `CsrAlone`: the format that every loop takes, which keeps this program quick to compile
template <class Types, bool CsrAlone = false>
void sweep_numerics(const request& asked, const std::string& name, workbench::calm_machine& machine,
                    totals& sum) {
  if (std::ranges::find(asked.numerics, name) == asked.numerics.end()) return;
  for (const std::string& text : asked.shapes) {
    weight_shape shape{};
    int used = 0;
    if (std::sscanf(text.c_str(), "%zux%zu%n", &shape.n, &shape.k, &used) != 2 ||
        static_cast<std::size_t>(used) != text.size() || shape.size() == 0)
      raise("--shape " + text + " is not NxK with two positive extents, like 256x2304");
    const std::size_t matrices =
        asked.matrices != 0 ? asked.matrices : std::clamp(16000000 / shape.size(), std::size_t{2}, std::size_t{512});
    std::vector<std::vector<float>> weights;
    for (std::size_t i = 0; i < matrices; ++i) weights.push_back(workbench::noise_weights(shape.n, shape.k, i + 1));
    for (const double sparsity : {0.25, 0.5, 0.75, 0.9, 0.95})
      sweep_format<csr, Types>(asked, name, sparsity, weights, shape, machine, sum);
    if constexpr (!CsrAlone) {
      sweep_format<dense, Types>(asked, name, 0, weights, shape, machine, sum);
      sweep_format<n_m<2, 4>, Types>(asked, name, 0.5, weights, shape, machine, sum);
      sweep_format<n_m<1, 4>, Types>(asked, name, 0.75, weights, shape, machine, sum);
      sweep_format<block<1, 4>, Types>(asked, name, 0.75, weights, shape, machine, sum);
      sweep_format<block<16, 4>, Types>(asked, name, 0.75, weights, shape, machine, sum);
      sweep_format<tile_wise<128>, Types>(asked, name, 0.75, weights, shape, machine, sum);
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  request asked;
  CLI::App app("Compares the loop that the plan picks with the fastest one, on this machine, one\nthread.");
  const auto option = [&](const char* name, auto& value, const char* type, const char* meaning) {
    return app.add_option(name, value, meaning)->type_name(type);
  };
  option("--shape", asked.shapes, "NxK", "extents of the weights");
  option("--numerics", asked.numerics, "NAME", "types of X, W and perhaps Y, see below")
      ->check(CLI::IsMember(asked.numerics).description(""));
  option("--format", asked.formats, "NAME", "only these formats, e.g. csr \"n_m<2,4>\"");
  option("--rows", asked.rows, "COUNT", "rows of X");
  option("--matrices", asked.matrices, "COUNT", "that take turns; 1: a loop over the same weights");
  option("--seconds", asked.seconds, "NUMBER", "for each time, up to 60")->check(number_in(0, 60));
  app.add_flag("--all", asked.all, "every cell, not only those where the plan is off");
  app.add_flag("--amx", asked.amx, "in the tiles of AMX, where they are allowed");
  app.get_formatter()->column_width(24);
  app.footer(wrapped("Options that name several things take several names.", 0) +
             wrapped(fmt::format("numerics:  {}", fmt::join(asked.numerics, " ")), 11));
  CLI11_PARSE(app, argc, argv);
  if (asked.amx) use_amx();
  workbench::calm_machine machine;
  totals sum;
  sweep_numerics<product_types<u8, s8, std::int32_t>>(asked, "u8xs8", machine, sum);
  sweep_numerics<product_types<u8, s4, std::int32_t>>(asked, "u8xs4", machine, sum);
  sweep_numerics<product_types<f32, f32, float>>(asked, "f32xf32", machine, sum);
  sweep_numerics<product_types<u8, s8, std::uint8_t>, true>(asked, "u8xs8>u8", machine, sum);
  sweep_numerics<product_types<u8, s8, float, per_group<128>>, true>(asked, "u8xs8:128", machine, sum);
  sweep_numerics<product_types<s16, s8, std::int64_t>, true>(asked, "s16xs8", machine, sum);
  sweep_numerics<product_types<bf16, bf16, float>, true>(asked, "bf16xbf16", machine, sum);
  sweep_numerics<product_types<u8, s2, std::int32_t>, true>(asked, "u8xs2", machine, sum);
  sweep_numerics<product_types<u8, ternary, std::int32_t>, true>(asked, "u8xternary", machine, sum);
  sweep_numerics<product_types<u8, codebook<4>, std::int32_t>, true>(asked, "u8xcodebook4", machine, sum);
  fmt::print("{} cells, {} beyond 5 %, worst {:.2f} x the best; {} advised wrongly; in {} the same loop took 5 % longer or "
             "less the second time; {} times were taken while the core was shared\n",
             sum.cells, sum.misses, sum.worst, sum.wrong_advice, sum.noisy, sum.disturbed);
  return 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "sparq_plan_sweep: {}\n", problem.what());
  return 1;
}
