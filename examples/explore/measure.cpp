// SPDX-License-Identifier: MIT
#include "measure.hpp"

#include "metrics.hpp"
#include "network.hpp"
#include "network_run.hpp"
#include "store_weights.hpp"

#include "bench/workbench/peaks.hpp"
#include "bench/workbench/product.hpp"

#include <fmt/format.h>

#include <sparq/base/error.hpp>
#include <sparq/plan/best_seconds.hpp>

#include <algorithm>
#include <memory>
#include <span>

namespace explore {
namespace {

struct numeric_choice {
  const char* name;
  const char* pair;  // X and W, in the workbench's spelling
};
constexpr numeric_choice numeric_choices[] = {
    {"f32", "f32xf32"}, {"bf16", "bf16xbf16"},      {"f16", "f32xf16"},
    {"s8", "u8xs8"},    {"s7", "u8xs7"},            {"s6", "u8xs6"},
    {"s5", "u8xs5"},    {"s4", "u8xs4"},            {"pow2<4>", "u8xpow2<4>"},
    {"s3", "u8xs3"},    {"codebook<4>", "u8xcodebook<4>"},
    {"s2", "u8xs2"},    {"ternary", "u8xternary"},  {"binary", "u8xbinary"}};

double budget(const options& asked) { return asked.quick ? 0.01 : 0.025; }  // seconds for one timing

std::size_t last_cache(const machine& here) {
  return here.caches.empty() ? std::size_t{32} << 20 : here.caches.back().bytes;
}

std::unique_ptr<workbench::product> make(const workload& work, const std::string& format,
                                         const numeric_choice& numeric, double sparsity, const options& asked) {
  const layer& what = work.what;
  return workbench::make_product({format, numeric.pair, what.m, sparsity, asked.seed}, work.weights, what.n, what.k);
}

/// More copies of the weights than the caches hold: calls that rotate through them read from memory.
void exceed_caches(workbench::product& product, const machine& here) {
  product.set_copies(2 * last_cache(here) / (product.packed_bytes + 1) + 2);
}

/// `dense`: the dense product of the same numeric type, in more copies than the caches hold, timed in turns with this
/// one.
measurement measure_one(const workload& work, workbench::product& dense, const std::string& format,
                        const numeric_choice& numeric, double sparsity, const machine& here, const options& asked) {
  const layer& what = work.what;
  const auto product = make(work, format, numeric, sparsity, asked);
  if (const std::string wrong = product->verify(); !wrong.empty())
    sparq::raise(fmt::format("{}, {} {}: {}", what.name, format, numeric.name, wrong));

  measurement found;
  found.format = format;
  found.numeric = numeric.name;
  found.target_sparsity = sparsity;
  found.sparsity = product->sparsity;
  found.bytes = product->bytes;
  found.bytes_per_weight = static_cast<double>(product->bytes) / static_cast<double>(work.weights.size());
  const std::vector<float> decoded = product->decoded();
  found.sqnr_db = sqnr_db(work.weights, decoded);
  found.max_error = max_error(work.weights, decoded);
  found.pack_seconds = product->encode_seconds + product->pack_seconds;
  found.slot_efficiency = product->slot_efficiency;
  const bool is_float = std::string_view(numeric.pair).find('f') != std::string_view::npos;
  const auto peak = is_float ? workbench::fma_kernel() : workbench::dot_kernel();
  const auto [hot, dense_hot, peak_seconds] = sparq::best_seconds(
      budget(asked), [&](std::size_t) { product->run(0); }, [&](std::size_t) { dense.run(0); },
      [&](std::size_t) { peak.run(); });
  exceed_caches(*product, here);
  const auto [rotating, dense_rotating] = sparq::best_seconds(
      budget(asked), [&](std::size_t i) { product->run(i); }, [&](std::size_t i) { dense.run(i); });
  const double macs = static_cast<double>(what.m) * static_cast<double>(what.n) * static_cast<double>(what.k);
  found.hot_seconds = hot;
  found.rotating_seconds = rotating;
  found.gmacs = macs / hot * 1e-9;
  found.vs_dense = dense_hot / hot;  // of dense itself: how far two timings of one kernel differ in this run
  found.vs_dense_rotating = dense_rotating / rotating;
  found.of_peak = macs * (1 - found.sparsity) / hot / (peak.macs / peak_seconds);
  found.kernel = product->kernel;
  return found;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The sparsities at which a format is measured: dense has none, a pattern its own.
std::vector<double> levels_of(const std::string& format, const layer& what, const options& asked) {
  if (format == "dense") return {what.given_sparsity};
  const double implied = workbench::implied_sparsity(format);
  if (implied >= 0) return {implied};
  return sparsity_levels(what, asked);
}

}  // namespace

std::vector<std::string> format_names() { return workbench::formats(); }

std::vector<std::string> numeric_names() {
  std::vector<std::string> names;
  for (const auto& choice : numeric_choices) names.emplace_back(choice.name);
  return names;
}

void measure_peaks(machine& here, const options&, progress& shown) {
  shown.stage(0, 1, "peaks of the machine");
  shown.step("multiply-adds");
  here.dot_gmacs = workbench::gmacs(workbench::dot_kernel());
  here.fma_gmacs = workbench::gmacs(workbench::fma_kernel());
  for (const cache& level : here.caches) {
    shown.step("read bandwidth of " + level.name);
    here.read_bandwidths.push_back({level.name, workbench::read_bandwidth(level.bytes / 2)});
  }
  shown.step("read bandwidth of memory");
  here.read_bandwidths.push_back({"memory", workbench::read_bandwidth(4 * last_cache(here))});
}

layer_result measure(const workload& work, std::size_t layer, const machine& here, const options& asked,
                     progress& shown) {
  layer_result result;
  for (const auto& numeric : numeric_choices) {
    if (!contains(asked.numerics, numeric.name)) continue;
    const auto dense = make(work, "dense", numeric, 0, asked);
    exceed_caches(*dense, here);
    for (const std::string& format : workbench::formats(numeric.pair)) {
      if (format != "dense" && !contains(asked.formats, format)) continue;
      for (const double sparsity : levels_of(format, work.what, asked)) {
        if (workbench::implied_sparsity(format) >= 0 && sparsity + 1e-9 < work.what.given_sparsity) {
          result.omissions.push_back(
              {layer, format, numeric.name,
               fmt::format("the weights have {:.0f} % zeros already, more than the pattern",
                           100 * work.what.given_sparsity)});
          continue;
        }
        shown.step(fmt::format("{} {} {:.0f} %", format, numeric.name, 100 * sparsity));
        measurement found = measure_one(work, *dense, format, numeric, sparsity, here, asked);
        found.layer = layer;
        result.measurements.push_back(std::move(found));
      }
    }
  }
  return result;
}

std::vector<network_run> measure_network(const std::filesystem::path& folder, const options& asked, progress& shown) {
  const network net = load_network(folder);
  shown.stage(0, 1, net.name);
  shown.step("all recorded inputs");
  network_runner runner(net);
  sparq::workspace scratch;
  network_run found = run_network(net, runner, scratch);
  const std::span<const std::byte> input = entry(net.data.inputs, 0);
  const auto [seconds] = sparq::best_seconds(0.2, [&](std::size_t) { runner.run(input, scratch); });
  found.seconds_per_input = seconds;
  std::vector<network_run> result{found};
  if (net.tensors[net.output].type != sparq::element_type::f32) return result;

  // the same network with weights that went through a numeric type and back
  for (const std::string& numeric : asked.numerics) {
    if (numeric == "f32") continue;
    shown.step(numeric);
    network changed = net;
    const std::size_t bytes = store_weights(changed, numeric);
    network_runner changed_runner(changed);
    network_run run = run_network(changed, changed_runner, scratch);
    run.variant = numeric + " dense, multiplied as f32";
    run.bytes = bytes;
    run.seconds_per_input = found.seconds_per_input;  // the same kernels
    result.push_back(run);
  }
  return result;
}

}  // namespace explore
