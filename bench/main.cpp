// SPDX-License-Identifier: MIT
// sparq_bench: measures any product on this machine, one thread. Without arguments of its own it runs the published
// table; --shape, --format, --numerics, --sparsity and --mode ask for anything else. Google Benchmark's own flags
// (--benchmark_filter, --benchmark_out=FILE.json, ...) work as always.

#include "bench/workbench/best_seconds.hpp"
#include "bench/workbench/peaks.hpp"
#include "bench/workbench/product.hpp"

#include <CLI/CLI.hpp>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <sparq/base/error.hpp>
#include <sparq/simd/isa.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace {

struct shape {
  std::size_t m, n, k;
};

shape parse_shape(const std::string& text) {
  shape s{};
  int used = 0;
  if (std::sscanf(text.c_str(), "%zux%zux%zu%n", &s.m, &s.n, &s.k, &used) != 3 ||
      static_cast<std::size_t>(used) != text.size() || s.m * s.n * s.k == 0)
    sparq::raise("--shape " + text + " is not MxNxK with three positive extents, like 512x1024x1024");
  return s;
}

struct request {
  std::vector<shape> shapes;
  std::vector<std::string> formats, numerics, modes;
  std::vector<double> sparsities;
  std::size_t rotating_bytes = 0;
  double seconds = 0.3;
  std::uint64_t seed = 1;
};

std::unique_ptr<workbench::product> make(const request& asked, const std::string& format, const std::string& numerics,
                                         shape s, double sparsity, const std::string& mode) {
  const auto weights = workbench::noise_weights(s.n, s.k, asked.seed);
  auto made = workbench::make_product({format, numerics, s.m, sparsity, asked.seed}, weights, s.n, s.k);
  if (mode == "rotate") made->set_copies(asked.rotating_bytes / (made->packed_bytes + 1) + 2);
  return made;
}

/// The dense product of the latest numeric types, shape and mode: the next rows are compared with it.
class baseline {
 public:
  workbench::product& of(const request& asked, const std::string& numerics, shape s, const std::string& mode) {
    const std::string key = fmt::format("{}/{}x{}x{}/{}", numerics, s.m, s.n, s.k, mode);
    if (key != key_) dense_ = make(asked, "dense", numerics, s, 0, mode);
    key_ = key;
    return *dense_;
  }

 private:
  std::string key_;
  std::unique_ptr<workbench::product> dense_;
};

void run(benchmark::State& state, baseline& known, const request& asked, const std::string& format,
         const std::string& numerics, shape s, double sparsity, const std::string& mode) {
  std::unique_ptr<workbench::product> product;
  try {
    product = make(asked, format, numerics, s, sparsity, mode);
  } catch (const sparq::error& problem) {
    state.SkipWithError(problem.what());
    return;
  }
  if (const std::string wrong = product->verify(); !wrong.empty()) {
    state.SkipWithError(wrong.c_str());
    return;
  }
  workbench::product& dense = known.of(asked, numerics, s, mode);
  const auto peak = numerics.starts_with("f32") ? workbench::fma_kernel() : workbench::dot_kernel();
  std::size_t call = 0;
  for (auto _ : state) {
    product->run(call++);
    benchmark::ClobberMemory();
  }
  const double macs = static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  const auto [own, dense_seconds, peak_seconds] = workbench::best_seconds(
      asked.seconds, [&](std::size_t i) { product->run(i); }, [&](std::size_t i) { dense.run(i); },
      [&](std::size_t) { peak.run(); });
  state.counters["gmacs"] = macs / own * 1e-9;
  state.counters["of_peak"] = macs * (1 - product->sparsity) / own / (peak.macs / peak_seconds);
  state.counters["vs_dense"] = dense_seconds / own;
  state.counters["bytes_per_weight"] =
      static_cast<double>(product->packed_bytes) / (static_cast<double>(s.n) * static_cast<double>(s.k));
  state.counters["sparsity"] = product->sparsity;
  state.counters["pack_ms"] = (product->encode_seconds + product->pack_seconds) * 1e3;
  state.SetLabel(product->kernel.substr(0, product->kernel.find(' ')));
}

}  // namespace

int main(int argc, char** argv) try {
  benchmark::Initialize(&argc, argv);
  request asked;
  std::vector<std::string> shapes;
  double rotating_mib = 96;
  CLI::App app("Measures products of sparse and quantized weights on this machine, one thread.");
  app.add_option("--shape", shapes, "MxNxK, several allowed");
  app.add_option("--format", asked.formats, "formats, e.g. dense block<16,4>");
  app.add_option("--numerics", asked.numerics, "types of X and W: u8xs8 s8xs8 u8xs4 f32xf32");
  app.add_option("--sparsity", asked.sparsities, "fraction of the weights that is pruned, e.g. 0.5 0.75")
      ->check(CLI::Range(0.0, 0.999));
  app.add_option("--mode", asked.modes, "hot: the same weights in every call; rotate: more weights than the caches hold")
      ->check(CLI::IsMember({"hot", "rotate"}));
  app.add_option("--rotate-mib", rotating_mib, "MiB of weights that --mode rotate passes through")
      ->check(CLI::Range(1.0, 16384.0));
  app.add_option("--seconds", asked.seconds, "for each of a row's times")->check(CLI::Range(0.0, 60.0));
  app.add_option("--seed", asked.seed, "of all operands");
  CLI11_PARSE(app, argc, argv);

  if (shapes.empty()) shapes = {"128x768x768", "512x1024x1024", "196x256x2304", "3136x64x576"};
  for (const auto& text : shapes) asked.shapes.push_back(parse_shape(text));
  if (asked.formats.empty()) asked.formats = workbench::formats();
  if (asked.numerics.empty()) asked.numerics = workbench::numerics();
  if (asked.modes.empty()) asked.modes = {"hot"};
  if (asked.sparsities.empty()) asked.sparsities = {0.5, 0.75, 0.875};
  asked.rotating_bytes = static_cast<std::size_t>(rotating_mib * 1024 * 1024);

  baseline known;
  benchmark::AddCustomContext("isa", sparq::to_string(sparq::native_isa));
  benchmark::AddCustomContext("cpu", SPARQ_BENCH_CPU);
  benchmark::AddCustomContext("compiler", SPARQ_BENCH_COMPILER);
  benchmark::AddCustomContext("flags", SPARQ_BENCH_FLAGS);
  benchmark::AddCustomContext("commit", SPARQ_BENCH_COMMIT);
  benchmark::AddCustomContext("seed", std::to_string(asked.seed));
  benchmark::AddCustomContext("dot_peak_gmacs", fmt::format("{:.1f}", workbench::gmacs(workbench::dot_kernel())));
  benchmark::AddCustomContext("fma_peak_gmacs", fmt::format("{:.1f}", workbench::gmacs(workbench::fma_kernel())));

  for (const auto& numerics : asked.numerics)
    for (const shape s : asked.shapes)
      for (const auto& format : asked.formats) {
        const double implied = workbench::implied_sparsity(format);
        const std::vector<double> sparsities = format == "dense" ? std::vector<double>{0.0}
                                               : implied >= 0    ? std::vector<double>{implied}
                                                                 : asked.sparsities;
        for (const double sparsity : sparsities)
          for (const auto& mode : asked.modes) {
            const std::string name = fmt::format("gemm/{}/{}/{}x{}x{}/{:g}/{}", format, numerics, s.m, s.n, s.k,
                                                 sparsity * 100, mode);
            benchmark::RegisterBenchmark(name.c_str(), [&known, &asked, format, numerics, s, sparsity,
                                                        mode](benchmark::State& state) {
              run(state, known, asked, format, numerics, s, sparsity, mode);
            })->Unit(benchmark::kMicrosecond);
          }
      }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
} catch (const std::exception& problem) {
  fmt::print(stderr, "sparq_bench: {}\n", problem.what());
  return 2;
}
