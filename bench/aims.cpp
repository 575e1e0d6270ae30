// SPDX-License-Identifier: MIT
// sparq_aims: measures the figures that the library aims at (bench/aims.txt) and prints tables of what is reached, in
// Markdown. Figures that are meant for other instruction sets are measured as well, and wait.

#include "bench/aims.hpp"
#include "bench/limits.hpp"
#include "bench/number_in.hpp"
#include "bench/peers/peer.hpp"
#include "bench/workbench/product.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <sparq/base/error.hpp>
#include <sparq/plan/best_seconds.hpp>
#include <sparq/simd/isa.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

namespace {

/// The products of one shape and mode.
class measurements {
 public:
  measurements(extents shape, std::string mode, double seconds)
      : shape_(shape),
        mode_(std::move(mode)),
        scope_(mode_),
        seconds_(seconds),
        weights_(workbench::noise_weights(shape.n, shape.k, 1)) {}

  /// The ratio that an aim is about, if the program has what it is compared with; throws sparq::error where there is no
  /// such product, or it is wrong.
  std::optional<double> ratio(const aims::aim& what) {
    const auto product = make(what.numerics, what.format, what.zeros);
    if (std::abs(100 * product->sparsity - what.zeros) > 1.5)
      sparq::raise(fmt::format("{:.1f} % of the weights are zeros", 100 * product->sparsity));
    if (const std::string wrong = product->verify(); !wrong.empty()) sparq::raise(wrong);
    const auto run = [&](std::size_t call) { product->run(call); };
    if (what.against == "read") {
      workbench::reader memory(mode_ == "rotate" ? beyond_caches() : product->packed_bytes);
      const auto [own, reading] = sparq::best_seconds(seconds_, run, [&](std::size_t) { memory.run(); });
      return static_cast<double>(product->packed_bytes) / own / (memory.bytes() / reading);
    }
    if (what.against == "peak") {
      const workbench::peak_kernel peak = peak_of(what.numerics);
      const auto [own, at_peak] = sparq::best_seconds(seconds_, run, [&](std::size_t) { peak.run(); });
      const double macs = static_cast<double>(shape_.m) * static_cast<double>(shape_.n) * static_cast<double>(shape_.k);
      return macs * (1 - product->sparsity) / own / (peak.macs / at_peak);
    }
    if (what.against == "peer") {
      const auto others = peers_of(what);
      if (others.empty()) return {};
      const std::vector<double> times = sparq::best_seconds_of(
          1 + others.size(), seconds_,
          [&](std::size_t i, std::size_t call) { i == 0 ? run(call) : others[i - 1]->run(call); });
      return *std::min_element(times.begin() + 1, times.end()) / times[0];
    }
    workbench::product& other = compared(what);
    const auto [own, others] = sparq::best_seconds(seconds_, run, [&](std::size_t call) { other.run(call); });
    return others / own;
  }

 private:
  /// Bytes of weights that no cache holds.
  static std::size_t beyond_caches() { return std::max(std::size_t{96} << 20, 3 * last_cache()); }
  std::unique_ptr<workbench::product> make(const std::string& numerics, const std::string& format, double zeros) const {
    const bool is_dense = format == "dense";
    auto made = workbench::make_product({format, numerics, shape_.m, is_dense ? 0 : zeros / 100, 1,
                                         is_dense ? "rows" : "", mode_ == "k_major" && !is_dense},
                                        weights_, shape_.n, shape_.k);
    return in_mode(std::move(made));
  }
  std::unique_ptr<workbench::product> in_mode(std::unique_ptr<workbench::product> made) const {
    if (mode_ == "rotate") made->set_copies(beyond_caches() / (made->packed_bytes + 1) + 2);
    return made;
  }
  /// The products of other libraries, dense ones too, whose sums are right.
  std::vector<std::unique_ptr<workbench::product>> peers_of(const aims::aim& what) const {
    std::vector<std::unique_ptr<workbench::product>> found;
    for (const peers::peer& peer : peers::all()) {
      if (peer.numerics != what.numerics) continue;
      auto made = peers::make_product(peer, shape_.m, {shape_.n, shape_.k}, what.zeros / 100, 1);
      if (made->verify().empty()) found.push_back(in_mode(std::move(made)));
    }
    return found;
  }
  /// The product that an aim is compared with. It stays, because the next ones often have the same.
  workbench::product& compared(const aims::aim& with) {
    auto& kept = compared_[fmt::format("{} {}", with.against, with.against.ends_with("/dense") ? 0 : with.zeros)];
    const std::size_t slash = with.against.rfind('/');
    if (!kept) kept = make(with.against.substr(0, slash), with.against.substr(slash + 1), with.zeros);
    return *kept;
  }

  extents shape_;
  std::string mode_;
  mode_scope scope_;
  double seconds_;
  std::vector<float> weights_;
  std::map<std::string, std::unique_ptr<workbench::product>> compared_;
};

/// What is known of an aim: a figure for each shape, or why there is none.
struct outcome {
  std::vector<double> reached;
  std::string problem;
};

struct counts {
  std::size_t met = 0, beyond = 0, below = 0, waits = 0, failed = 0;
};

std::string judged(const aims::section& of, const aims::aim& what, const outcome& found, counts& sum) {
  if (!found.problem.empty()) return ++sum.failed, "**failed**: " + found.problem;
  if (const std::string why = aims::waits_for(of, sparq::native_isa); !why.empty())
    return ++sum.waits, "waits (" + why + ")";
  switch (aims::judge(what, found.reached)) {
    case aims::verdict::waits:
      return ++sum.waits, "waits (needs libraries that this program is not built with)";
    case aims::verdict::below:
      return ++sum.below, "short";
    case aims::verdict::beyond:
      ++sum.beyond;
      return ++sum.met, "met, beyond";
    default:
      return ++sum.met, "met";
  }
}

void print(const aims::section& of, const std::vector<outcome>& found, counts& sum) {
  std::vector<std::string> shapes;
  for (const extents& shape : of.shapes) shapes.push_back(fmt::format("{} x {} x {}", shape.m, shape.n, shape.k));
  fmt::print("\n### {}\n\n{}; {}\n\n", of.title, fmt::join(shapes, ", "), of.mode);
  const auto line = [](auto... cells) { fmt::print("| {:<44} | {:<22} | {:>8} | {:>6} | {:<22} | {} |\n", cells...); };
  line("what", "against", "at least", "beyond", "reached", "verdict");
  line("---", "---", "---", "---", "---", "---");
  for (std::size_t i = 0; i < found.size(); ++i) {
    const aims::aim& what = of.rows[i];
    std::vector<std::string> reached;
    for (const double figure : found[i].reached) reached.push_back(fmt::format("{:.2f}", figure));
    const std::string zeros = what.format == "dense" ? "" : fmt::format(", {:g} % zeros", what.zeros);
    line(fmt::format("`{} {}`{}", what.numerics, what.format, zeros),
         what.against.find('/') == std::string::npos ? what.against : "`" + what.against + "`",
         fmt::format("{:g}", what.at_least), what.beyond ? fmt::format("{:g}", *what.beyond) : "",
         fmt::format("{}", fmt::join(reached, " ")), judged(of, what, found[i], sum));
  }
  std::fflush(stdout);
}

/// Figures as they are printed, so that judgement and page agree.
double rounded(double figure) { return std::round(100 * figure) / 100; }

}  // namespace

int main(int argc, char** argv) try {
  std::string pattern, file_name = SPARQ_BENCH_AIMS, shape;
  double seconds = 0.1;
  bool strict = false;
  CLI::App app("Measures the figures that sparq aims at, one thread, and prints them in Markdown.");
  app.add_option("pattern", pattern, "a regular expression: rows or sections whose words match")->type_name("");
  app.add_option("--file", file_name, "the figures; the default is bench/aims.txt")->type_name("FILE");
  app.add_option("--shape", shape, "instead of the shapes that the figures are meant for")->type_name("MxNxK");
  app.add_option("--seconds", seconds, "for each of a figure's times, up to 60")->check(number_in(0, 60));
  app.add_flag("--strict", strict, "fails when a figure is short of what it aims at");
  CLI11_PARSE(app, argc, argv);

  std::ifstream file(file_name);
  if (!file) sparq::raise("cannot open " + file_name);
  std::vector<aims::section> parts = aims::read(file, file_name);
  const std::regex wanted(pattern);
  for (aims::section& part : parts) {
    std::erase_if(part.rows, [&](const aims::aim& row) {
      return !std::regex_search(fmt::format("{}: {} {} {:g} %", part.title, row.numerics, row.format, row.zeros),
                                wanted);
    });
    if (!shape.empty()) part.shapes = {parse_extents(shape)};
  }
  std::erase_if(parts, [](const aims::section& part) { return part.rows.empty(); });
  if (parts.empty()) sparq::raise("no figure matches \"" + pattern + "\"");

  fmt::print("## {}\n\n{}, {}, `{}`, commit {}\n", SPARQ_BENCH_COMPILER, SPARQ_BENCH_CPU, to_string(sparq::native_isa),
             SPARQ_BENCH_FLAGS, SPARQ_BENCH_COMMIT);
  counts sum;
  for (const aims::section& part : parts) {
    std::vector<outcome> found(part.rows.size());
    for (const extents& one : part.shapes) {
      measurements here(one, part.mode, seconds);
      for (std::size_t i = 0; i < found.size(); ++i) try {
          if (const auto figure = here.ratio(part.rows[i])) found[i].reached.push_back(rounded(*figure));
        } catch (const sparq::error& problem) {
          found[i].problem = problem.what();
        }
    }
    print(part, found, sum);
  }
  fmt::print("\n**{} met, {} of them beyond; {} short, {} wait, {} failed.**\n", sum.met, sum.beyond, sum.below,
             sum.waits, sum.failed);
  return sum.failed != 0 || (strict && sum.below != 0) ? 1 : 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "sparq_aims: {}\n", problem.what());
  return 2;
}
