// SPDX-License-Identifier: MIT
// explore: what each sparse format and numeric type does with given weights on this machine.
//
//   explore                                       layer shapes of well-known networks, generated weights
//   explore weights.npy --m 64 --html report.html
//   explore --shape 1x4096x4096,1x11008x4096 --numeric s8,s4
//   explore --csr pruned.smtx --numeric s8 --format csr,block
//   explore --from-json report.json --html report.html
//
// Ends with 0, with 1 when the data is at fault, and with 2 when the command line is.

#include "command_line.hpp"
#include "csv.hpp"
#include "file.hpp"
#include "html.hpp"
#include "json.hpp"
#include "machine.hpp"
#include "measure.hpp"
#include "progress.hpp"
#include "results.hpp"
#include "summary.hpp"
#include "table.hpp"
#include "terminal.hpp"
#include "workload.hpp"

#include <fmt/format.h>

#include <sparq/base/amx.hpp>
#include <sparq/base/error.hpp>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

namespace explore {
namespace {

void append(std::vector<workload>& all, std::vector<workload> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// Everything is read and checked before anything is measured.
std::vector<workload> read_workloads(const command_line& line) {
  std::vector<workload> all;
  for (const auto& input : line.inputs) {
    if (std::filesystem::is_directory(input)) {
      append(all, read_network(input, line.asked));
    } else {
      all.push_back(read_weights(input, line.asked));
    }
  }
  for (const auto& input : line.pruned) all.push_back(read_pruned(input, line.asked));
  for (const extents& shape : line.shapes) all.push_back(generated_layer(shape, line.asked));
  if (all.empty()) append(all, network_shapes(line.asked));
  return all;
}

// Measures, and prints each table when it is complete.
report measured(const command_line& line, const table_style& style) {
  const std::vector<workload> work = read_workloads(line);
  if (line.asked.amx) sparq::use_amx();
  report found;
  found.date = utc_now();
  found.machine = describe_machine(line.asked.seed);
  for (const workload& w : work) found.layers.push_back(w.what);

  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  progress shown(stderr);
  measure_peaks(found.machine, line.asked, shown);
  shown.clear();
  fmt::print("{}\n{}\n", machine_text(found.machine), legend_text());
  for (std::size_t i = 0; i < work.size(); ++i) {
    shown.stage(i, work.size(), work[i].what.name);
    layer_result result = measure(work[i], i, found.machine, line.asked, shown);
    std::move(result.measurements.begin(), result.measurements.end(), std::back_inserter(found.measurements));
    std::move(result.omissions.begin(), result.omissions.end(), std::back_inserter(found.omissions));
    shown.clear();
    fmt::print("{}\n", layer_text(found, i, style));
    std::fflush(stdout);
  }
  found.break_evens = find_break_evens(found);
  for (const auto& input : line.inputs) {
    if (!std::filesystem::is_directory(input)) continue;
    for (network_run& run : measure_network(input, line.asked, shown)) found.networks.push_back(std::move(run));
  }
  const double cpu = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  found.cpu_share = cpu / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return found;
}

report read_report(const std::filesystem::path& file, const table_style& style) {
  const report found = from_json(read_text(file), file.string());
  fmt::print("{}\n{}\n", machine_text(found.machine), legend_text());
  for (std::size_t i = 0; i < found.layers.size(); ++i) fmt::print("{}\n", layer_text(found, i, style));
  return found;
}

void run(const command_line& line) {
  if (line.html && !has_html()) throw usage_error("--html: this program was built without Chart.js (libjs-chart.js)");
  for (const auto& target : {line.json, line.html, line.csv}) {
    if (target) check_writable(*target);
  }
  const table_style style{wants_colour(stdout), line.rows};
  const report found = line.from_json ? read_report(*line.from_json, style) : measured(line, style);
  fmt::print("{}{}", networks_text(found), summary_text(found, style));
  if (line.json) write_text(*line.json, to_json(found));
  if (line.html) write_text(*line.html, to_html(found));
  if (line.csv) write_text(*line.csv, to_csv(found));
}

int guarded(int argc, const char* const* argv) {
  try {
    if (const auto line = parse(argc, argv, format_names(), numeric_names())) run(*line);
    return 0;
  } catch (const usage_error& problem) {
    fmt::print(stderr, "explore: {}\n", problem.what());
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "explore: memory ran out\n");
  } catch (const std::exception& problem) {
    fmt::print(stderr, "explore: {}\n", problem.what());
  }
  return 1;
}

}  // namespace
}  // namespace explore

int main(int argc, char** argv) { return explore::guarded(argc, argv); }
