// SPDX-License-Identifier: MIT
#include "table.hpp"

#include "summary.hpp"

#include "bench/wrapped.hpp"

#include <fmt/color.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace explore {
namespace {

const auto strong = fmt::emphasis::bold;
const auto winner = fmt::emphasis::bold | fmt::fg(fmt::terminal_color::green);
const auto warning = fmt::emphasis::bold | fmt::fg(fmt::terminal_color::red);
const auto faint = fmt::fg(fmt::terminal_color::bright_black);
const auto plain = fmt::text_style();

std::string dressed(std::string text, const fmt::text_style& dress, const table_style& style) {
  return style.colour ? fmt::format(dress, "{}", text) : text;
}

std::string bytes_text(std::size_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const double kib = static_cast<double>(bytes) / 1024;
  return kib < 1024 ? fmt::format("{:.0f} KiB", kib) : fmt::format("{:.1f} MiB", kib / 1024);
}

// Three digits and a unit.
std::string seconds_text(double seconds) {
  const auto [figure, unit] = seconds < 1e-3 ? std::pair(seconds * 1e6, "us")
                              : seconds < 1  ? std::pair(seconds * 1e3, "ms")
                                             : std::pair(seconds, "s");
  return fmt::format("{:.{}f}{}", figure, figure < 9.995 ? 2 : figure < 99.95 ? 1 : 0, unit);
}

std::string decibel_text(double sqnr) { return std::isfinite(sqnr) ? fmt::format("{:.1f}", sqnr) : "exact"; }

std::string rate_text(double rate) { return fmt::format("{:.{}f}", rate, rate < 99.95 ? 1 : 0); }

// The format, and the zeros that it reached where these are not what the block says.
std::string name_text(const measurement& m) {
  const bool near = std::abs(m.sparsity - m.target_sparsity) < 0.005;
  return m.format == "dense" || near ? m.format : fmt::format("{} {}", m.format, percent(m.sparsity));
}

struct name_widths {
  std::size_t format = 16;
  std::size_t numeric = 4;
};

std::string row_text(const measurement& m, const name_widths& width) {
  return fmt::format("{:<{}} {:<{}}{:>6}{:>6}{:>4.0f}%{:>7}{:>6.2f}{:>6}", name_text(m), width.format, m.numeric,
                     width.numeric, times(m.vs_dense), m.vs_dense_rotating ? times(*m.vs_dense_rotating) : "-",
                     100 * m.of_peak, seconds_text(m.hot_seconds), 8 * m.bytes_per_weight, decibel_text(m.sqnr_db));
}

std::string heading_text(const name_widths& width) {
  return fmt::format("  {:<{}} {:<{}}{:>6}{:>6}{:>5}{:>7}{:>6}{:>6}", "format", width.format, "type",
                     width.numeric, "hot", "cold", "peak", "time", "bits", "dB");
}

// The block of one sparsity: its sparse rows and all dense ones, fastest first.
std::string level_text(std::vector<const measurement*> rows, const name_widths& width, const table_style& style) {
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->gmacs > b->gmacs; });
  std::string text;
  std::size_t sparse = 0;
  for (const measurement* row : rows) {
    const bool dense = row->format == "dense";
    if (!dense && style.rows != 0 && ++sparse > style.rows) continue;
    const bool first = row == rows.front();
    text += dressed(fmt::format("{} {}", first ? '>' : ' ', row_text(*row, width)),
                    first   ? winner
                    : dense ? faint
                            : plain,
                    style);
    text += '\n';
  }
  if (style.rows != 0 && sparse > style.rows) {
    text += dressed(fmt::format("  ... {} slower", sparse - style.rows), faint, style) + '\n';
  }
  return text;
}

}  // namespace

std::string machine_text(const machine& here) {
  std::string caches;
  for (const cache& c : here.caches)
    caches += fmt::format("{}{} {}", caches.empty() ? "" : ", ", c.name, bytes_text(c.bytes));
  std::string reads;
  for (const bandwidth& b : here.read_bandwidths) {
    reads += fmt::format("{}{} {}", reads.empty() ? "" : ", ", b.level, rate_text(b.gb_per_second));
  }
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += wrapped(fmt::format("{:<10} {}", name, value), 11);
  };
  line("machine", fmt::format("{}; {}", here.cpu, caches));
  line("kernels", fmt::format("{}; {} {}", here.isa, here.compiler, here.flags));
  line("peak", fmt::format("int8 dot {} GMAC/s, f32 fma {} GMAC/s, one thread", rate_text(here.dot_gmacs),
                           rate_text(here.fma_gmacs)));
  line("reading", reads + " GB/s");
  line("sources", fmt::format("commit {}, seed {}", here.commit, here.seed));
  return text;
}

std::string legend_text() {
  std::string text;
  const auto line = [&](std::string_view name, std::string_view meaning) {
    text += wrapped(fmt::format("{:<10} {}", name, meaning), 11);
  };
  line("format", "and the zeros that it reached, where these are not what was asked for");
  line("hot", "speed over the dense kernel of the same type; of dense itself how far two timings of it differ");
  line("cold", "the same with weights that are not in cache");
  line("peak", "share of the machine's peak, executed multiply-adds only");
  line("time", "of one call, hot");
  line("bits", "of one weight in a file, scales and indices included, pruned weights counted too");
  line("dB", "signal to error of the stored weights, without retraining");
  return text;
}

std::string layer_text(const report& found, std::size_t layer, const table_style& style) {
  const auto& what = found.layers[layer];
  std::vector<const measurement*> dense;
  std::vector<const measurement*> sparse;
  std::vector<double> levels;
  name_widths width;
  for (const measurement& m : found.measurements) {
    if (m.layer != layer) continue;
    width.format = (std::max)(width.format, name_text(m).size());
    width.numeric = (std::max)(width.numeric, m.numeric.size());
    (m.format == "dense" ? dense : sparse).push_back(&m);
    if (m.format != "dense") levels.push_back(m.target_sparsity);
  }
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());

  std::string text =
      fmt::format("{}  m {} x n {} x k {}, {}; {}", what.name, what.m, what.n, what.k, what.kind, what.source);
  if (what.given_sparsity > 0) text += fmt::format("; {} zeros as given", percent(what.given_sparsity));
  text = wrapped(std::move(text), 4).replace(0, what.name.size(), dressed(what.name, strong, style));
  text += dressed(heading_text(width), faint, style) + '\n';
  if (levels.empty()) text += level_text(dense, width, style);
  for (const double level : levels) {
    std::vector<const measurement*> rows = dense;
    std::copy_if(sparse.begin(), sparse.end(), std::back_inserter(rows),
                 [&](const auto* m) { return m->target_sparsity == level; });
    text += fmt::format("- {} zeros\n", percent(level)) + level_text(std::move(rows), width, style);
  }
  for (const omission& o : found.omissions) {
    if (o.layer == layer) text += wrapped(fmt::format("  not measured: {} {}: {}", o.format, o.numeric, o.reason), 16);
  }
  return text;
}

std::string networks_text(const report& found) {
  std::string text;
  for (const network_run& run : found.networks) {
    const std::string top1 =
        run.labelled == 0 ? "" : fmt::format(", top-1 {} of {}", run.top1_correct, run.labelled);
    text += wrapped(fmt::format("{}, {}: {} of {} outputs match{}; {} a call, weights {}{}{}", run.name, run.variant,
                                run.matches, run.of, top1, seconds_text(run.seconds_per_input), bytes_text(run.bytes),
                                run.note.empty() ? "" : "; ", run.note),
                    4);
  }
  return text;
}

std::string summary_text(const report& found, const table_style& style) {
  std::string text;
  const std::vector<std::string> reasons = doubts(found);
  if (!reasons.empty()) {
    text +=
        dressed("Do not rely on the speeds of this report. Measure again on an idle machine.", warning, style) + '\n';
    for (const std::string& reason : reasons) text += wrapped("  " + reason, 2);
    text += '\n';
  }
  std::size_t layer = found.layers.size();
  for (const headline& h : headlines(found)) {
    if (h.layer != layer) text += dressed(found.layers[h.layer].name, strong, style) + '\n';
    layer = h.layer;
    text += wrapped(fmt::format("  {:<4} {}", h.numeric, h.text), 7);
  }
  return text;
}

}  // namespace explore
