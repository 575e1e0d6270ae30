// SPDX-License-Identifier: MIT
#include "summary.hpp"

#include "break_even.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>
#include <utility>

namespace explore {
namespace {

constexpr double noise = 1.02;               // less than this over dense is no win
constexpr double reference_sparsity = 0.75;  // headlines speak about the level next to it
constexpr double above_peak = 1.05;          // the peak itself is measured; beyond this, one of both is wrong
constexpr double undisturbed = 0.9;          // of the time that passed, at least this was ours
constexpr double cold_matters = 1.2;         // a ratio with cold weights that differs by more is worth a word

bool is_dense(const measurement& m) { return m.format == "dense"; }

// The int8 peak is that of products of any bytes. Narrow weights add in 16 bits on AVX2, which goes twice as fast.
double most_of_peak(const measurement& m) {
  return m.kernel.find("narrow") == std::string::npos ? above_peak : 2 * above_peak;
}

using entries = std::vector<const measurement*>;

// The sparse measurements of one layer and numeric type.
entries sparse_entries(const report& found, std::size_t layer, const std::string& numeric) {
  entries result;
  for (const measurement& m : found.measurements) {
    if (m.layer == layer && m.numeric == numeric && !is_dense(m)) result.push_back(&m);
  }
  return result;
}

const measurement& fastest(const entries& among) {
  return **std::max_element(among.begin(), among.end(),
                            [](const auto* a, const auto* b) { return a->vs_dense < b->vs_dense; });
}

const measurement& fastest_at(const entries& among, double target_sparsity) {
  entries level;
  std::copy_if(among.begin(), among.end(), std::back_inserter(level),
               [&](const auto* m) { return m->target_sparsity == target_sparsity; });
  return fastest(level);
}

std::string speed(const measurement& m) {
  std::string text = fmt::format("{} dense {}", times(m.vs_dense), m.numeric);
  if (m.vs_dense_rotating) {
    const double change = m.vs_dense / *m.vs_dense_rotating;
    if (change > cold_matters || change < 1 / cold_matters) {
      text += fmt::format(" ({} with cold weights)", times(*m.vs_dense_rotating));
    }
  }
  return text;
}

const break_even* break_even_of(const report& found, const measurement& m) {
  for (const break_even& b : found.break_evens) {
    if (b.layer == m.layer && b.format == m.format && b.numeric == m.numeric) return &b;
  }
  return nullptr;
}

headline headline_of(const report& found, const entries& among) {
  // What the reference level is when it was not measured: the nearest that was.
  const double reference =
      (*std::min_element(among.begin(), among.end(), [](const auto* a, const auto* b) {
        return std::abs(a->target_sparsity - reference_sparsity) < std::abs(b->target_sparsity - reference_sparsity);
      }))->target_sparsity;
  const measurement& there = fastest_at(among, reference);
  const measurement& best = fastest(among);
  const bool wins_there = there.vs_dense >= noise;
  const measurement& shown = wins_there ? there : best;
  headline result{best.layer, best.numeric, best.vs_dense >= noise, shown.format, shown.sparsity, shown.vs_dense, {}};

  if (!result.sparse) {
    result.text = fmt::format("Stay dense: the best sparse result is {} with {} at {} zeros.", best.format, speed(best),
                              percent(best.sparsity));
    return result;
  }
  const break_even* const even = break_even_of(found, shown);
  const bool known = even != nullptr && even->sparsity && !even->at_most;
  if (!wins_there) {
    const double from = known ? (std::min)(*even->sparsity, best.sparsity) : best.sparsity;
    result.text = fmt::format("Stay dense below {} zeros; {} then reaches {} at {}.", percent(from), best.format,
                              speed(best), percent(best.sparsity));
    return result;
  }
  result.text = fmt::format("{} wins: {} at {} zeros", there.format, speed(there), percent(there.sparsity));
  if (known) result.text += fmt::format(", ahead from {} on", percent(*even->sparsity));
  if (best.target_sparsity > there.target_sparsity) {
    result.text += best.format == there.format ? fmt::format("; {} at {}", times(best.vs_dense), percent(best.sparsity))
                                               : fmt::format("; {} reaches {} at {}", best.format, times(best.vs_dense),
                                                             percent(best.sparsity));
  }
  result.text += '.';
  return result;
}

std::vector<std::string> numerics_of(const report& found, std::size_t layer) {
  std::vector<std::string> names;
  for (const measurement& m : found.measurements) {
    if (m.layer == layer && std::find(names.begin(), names.end(), m.numeric) == names.end()) names.push_back(m.numeric);
  }
  return names;
}

}  // namespace

std::vector<break_even> find_break_evens(const report& found) {
  std::vector<break_even> result;
  std::vector<std::vector<speed_point>> points;  // parallel to result
  for (const measurement& m : found.measurements) {
    if (is_dense(m)) continue;
    std::size_t at = 0;
    while (at < result.size() && std::tie(result[at].layer, result[at].format, result[at].numeric) !=
                                     std::tie(m.layer, m.format, m.numeric)) {
      ++at;
    }
    if (at == result.size()) {
      result.push_back({m.layer, m.format, m.numeric, {}, false});
      points.emplace_back();
    }
    points[at].push_back({m.sparsity, m.vs_dense});
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    const crossing found_at = find_crossing(std::move(points[i]));
    result[i].sparsity = found_at.sparsity;
    result[i].at_most = found_at.at_most;
  }
  return result;
}

std::vector<headline> headlines(const report& found) {
  std::vector<headline> result;
  for (std::size_t layer = 0; layer < found.layers.size(); ++layer) {
    for (const std::string& numeric : numerics_of(found, layer)) {
      const entries among = sparse_entries(found, layer, numeric);
      if (among.empty()) {
        result.push_back({layer, numeric, false, "dense", 0, 1, "Only dense was measured."});
      } else {
        result.push_back(headline_of(found, among));
      }
    }
  }
  return result;
}

std::vector<std::string> doubts(const report& found) {
  std::vector<std::string> result;
  if (found.cpu_share && *found.cpu_share < undisturbed) {
    result.push_back(fmt::format("The program had the CPU for {} of the time only: other programs ran beside it.",
                                 percent(*found.cpu_share)));
  }
  std::size_t count = 0;
  double most = 0;
  for (const measurement& m : found.measurements) {
    if (m.of_peak <= most_of_peak(m)) continue;
    ++count;
    most = (std::max)(most, m.of_peak);
  }
  if (count > 0) {
    result.push_back(
        fmt::format("{} of {} measurements are faster than the peak measured in the same run, by up to {}: "
                    "the peak or they are wrong.",
                    count, found.measurements.size(), times(most)));
  }
  return result;
}

std::string fastest_dense_numeric(const report& found, std::size_t layer) {
  const measurement* best = nullptr;
  for (const measurement& m : found.measurements) {
    if (m.layer == layer && is_dense(m) && (best == nullptr || m.hot_seconds < best->hot_seconds)) best = &m;
  }
  return best == nullptr ? "" : best->numeric;
}

std::string percent(double fraction) {
  const double tenths = std::round(fraction * 1000);
  return fmt::format("{:g} %", tenths / 10);
}

std::string times(double ratio) { return fmt::format("{:.{}f}x", ratio, ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0); }

}  // namespace explore
