// SPDX-License-Identifier: MIT
// sparq_bench: measures any product on this machine, one thread. Without arguments of its own it runs the published
// table; --shape, --conv, --format, --numerics, --sparsity and --mode ask for anything else. Google Benchmark's own
// flags (--benchmark_filter, --benchmark_out=FILE.json, ...) work as always.

#include "bench/convolution.hpp"
#include "bench/extents.hpp"
#include "bench/limits.hpp"
#include "bench/number_in.hpp"
#include "bench/peers/peer.hpp"
#include "bench/workbench/peaks.hpp"
#include "bench/workbench/product.hpp"
#include "bench/wrapped.hpp"

#include <CLI/CLI.hpp>
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sparq/base/error.hpp>
#include <sparq/plan/best_seconds.hpp>
#include <sparq/simd/isa.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// What the command line asks for.
struct request {
  std::vector<std::string> shapes, convolutions, numerics, formats, modes;
  std::string loop;
  std::vector<double> sparsities;
  bool with_peers = false;
  double rotating_mib = 96;
  double seconds = 0.3;
  std::uint64_t seed = 1;

  std::size_t rotating_bytes() const { return static_cast<std::size_t>(rotating_mib * 1024 * 1024); }
};

/// One operation of some extents and numeric types; format and sparsity are what its rows compare.
struct problem {
  std::string name;      // <op>
  std::string numerics;  // u8xs8
  std::string extents;   // 512x1024x1024
  std::size_t m, n, k;
  std::function<std::unique_ptr<workbench::product>(const std::string& format, double sparsity, bool k_major)> make;
  std::function<std::unique_ptr<workbench::product>()> make_dense;  // what all rows are compared with
};

/// The peer that --format names, or nothing.
const peers::peer* find_peer(const std::string& format, const std::string& numerics) {
  for (const peers::peer& peer : peers::all())
    if (peer.format == format && peer.numerics == numerics) return &peer;
  return nullptr;
}

problem gemm_problem(const std::string& text, const std::string& numerics, const request& asked) {
  const extents shape = parse_extents(text);
  const std::size_t m = shape.m, n = shape.n, k = shape.k;
  return {"gemm",
          numerics,
          text,
          m,
          n,
          k,
          [=, &asked](const std::string& format, double sparsity, bool k_major) {
            if (const peers::peer* peer = find_peer(format, numerics))
              return peers::make_product(*peer, m, {n, k}, sparsity, asked.seed);
            const std::string loop = format == "dense" ? "rows" : asked.loop;
            return workbench::make_product({format, numerics, m, sparsity, asked.seed, loop, k_major},
                                           workbench::noise_weights(n, k, asked.seed), n, k);
          },
          [=, &asked] {
            return workbench::make_product(
                {"dense", has_floats(numerics) ? "f32xf32" : "u8xs8", m, 0, asked.seed, "rows"},
                workbench::noise_weights(n, k, asked.seed), n, k);
          }};
}

problem convolution_problem(const std::string& text, std::uint64_t seed) {
  const convolution what = parse_convolution(text);
  const auto make = [=](const std::string& format, double sparsity, bool) {
    return make_convolution(format, what, sparsity, seed);
  };
  return {"conv2d", "u8xs8",  text, what.m(), what.filters, what.k(),
          make,     [=] { return make("dense", 0, false); }};
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> own_formats(const problem& what) {
  return what.name == "conv2d" ? convolution_formats() : workbench::formats(what.numerics);
}

std::vector<std::string> peer_formats(const problem& what) {
  std::vector<std::string> formats;
  if (what.name == "gemm")
    for (const peers::peer& peer : peers::all())
      if (peer.numerics == what.numerics) formats.push_back(peer.format);
  return formats;
}

/// The rows of one problem: all formats, or those of --format that it has.
std::vector<std::string> formats_of(const problem& what, const request& asked) {
  const std::vector<std::string> own = own_formats(what), others = peer_formats(what);
  std::vector<std::string> formats = asked.formats.empty() ? own : std::vector<std::string>();
  for (const std::string& format : asked.formats)
    if (has(own, format) || has(others, format)) formats.push_back(format);
  if (asked.with_peers)
    for (const std::string& format : others)
      if (!has(formats, format)) formats.push_back(format);
  return formats;
}

/// Refuses a format that none of the problems has. Throws sparq::error.
void check_formats(const std::vector<problem>& problems, const request& asked) {
  std::vector<std::string> known;
  for (const problem& what : problems)
    for (const auto& names : {own_formats(what), peer_formats(what)})
      for (const std::string& format : names)
        if (!has(known, format)) known.push_back(format);
  for (const std::string& format : asked.formats)
    if (!has(known, format)) sparq::raise(fmt::format("--format {}: there are {}", format, fmt::join(known, ", ")));
}
std::vector<double> sparsities_of(const std::string& format, const problem& what, const request& asked) {
  const peers::peer* peer = find_peer(format, what.numerics);
  if (format == "dense" || (peer != nullptr && !peer->is_sparse)) return {0.0};
  if (const double implied = workbench::implied_sparsity(format); implied >= 0) return {implied};
  return asked.sparsities;
}

std::unique_ptr<workbench::product> in_mode(const request& asked, const std::string& mode,
                                            std::unique_ptr<workbench::product> made) {
  if (mode == "rotate") made->set_copies(asked.rotating_bytes() / (made->packed_bytes + 1) + 2);
  return made;
}

/// The dense product of the latest problem and mode: the next rows are compared with it,
/// those of other numeric types too.
class baseline {
 public:
  workbench::product& of(const request& asked, const problem& what, const std::string& mode) {
    const std::string key = fmt::format("{} {} {} {}", what.name, has_floats(what.numerics), what.extents, mode);
    if (key != key_) dense_ = in_mode(asked, mode, what.make_dense());
    key_ = key;
    return *dense_;
  }

 private:
  std::string key_;
  std::unique_ptr<workbench::product> dense_;
};

/// Whether the row could be measured; if not, Google Benchmark prints why.
bool run(benchmark::State& state, baseline& known, const read_speeds& speeds, const request& asked, const problem& what,
         const std::string& format, double sparsity, const std::string& mode) {
  std::unique_ptr<workbench::product> product;
  std::optional<mode_scope> scope;
  try {
    scope.emplace(mode);
    product = in_mode(asked, mode, what.make(format, sparsity, mode == "k_major" && format != "dense"));
  } catch (const sparq::error& problem) {
    state.SkipWithError(problem.what());
    return false;
  }
  if (const std::string wrong = product->verify(); !wrong.empty()) {
    state.SkipWithError(wrong.c_str());
    return false;
  }
  workbench::product& dense = known.of(asked, what, mode);
  const workbench::peak_kernel peak = peak_of(what.numerics);
  std::size_t call = 0;
  for (auto _ : state) {
    product->run(call++);
    benchmark::ClobberMemory();
  }
  const double weights = static_cast<double>(what.n) * static_cast<double>(what.k);
  const double macs = static_cast<double>(what.m) * weights;
  const auto [own, dense_seconds, peak_seconds] = sparq::best_seconds(
      asked.seconds, [&](std::size_t i) { product->run(i); }, [&](std::size_t i) { dense.run(i); },
      [&](std::size_t) { peak.run(); });
  state.counters["gmacs"] = macs / own * 1e-9;
  state.counters["of_peak"] = macs * (1 - product->sparsity) / own / (peak.macs / peak_seconds);
  state.counters["vs_dense"] = dense_seconds / own;
  const double read = static_cast<double>(product->packed_bytes);
  state.counters["of_read"] =
      read / own * 1e-9 / speeds.of(mode == "rotate" ? asked.rotating_bytes() : product->packed_bytes);
  state.counters["bytes_per_weight"] = read / weights;
  state.counters["sparsity"] = product->sparsity;
  state.counters["slot_efficiency"] = product->slot_efficiency;
  state.counters["pack_ms"] = (product->encode_seconds + product->pack_seconds) * 1e3;
  state.SetLabel(product->kernel.substr(0, product->kernel.find(' ')));
  return true;
}

void add_options(CLI::App& app, request& asked) {
  const auto one_of = [](const std::vector<std::string>& names) { return CLI::IsMember(names).description(""); };
  const auto option = [&](const char* name, auto& value, const char* type, const char* meaning) {
    return app.add_option(name, value, meaning)->type_name(type);
  };
  option("--shape", asked.shapes, "MxNxK", "products");
  option("--conv", asked.convolutions, "HxWxCxNxR", "convolutions, u8 x s8, kernel R x R; s2 behind: stride");
  option("--format", asked.formats, "NAME", "formats, e.g. dense \"block<16,4>\"");
  app.add_flag("--peers", asked.with_peers, "other libraries too, if there when this was built");
  option("--numerics", asked.numerics, "NAME", "types of X and W, see below")->check(one_of(workbench::numerics()));
  option("--sparsity", asked.sparsities, "LEVEL", "zeros to prune to, e.g. 0.5 0.75")->check(number_in(0, 0.999));
  option("--mode", asked.modes, "NAME", "hot, rotate, k_major, amx, see below")
      ->check(one_of({"hot", "rotate", "k_major", "amx"}));
  option("--loop", asked.loop, "NAME", "rows, columns, expand, window; else the plan picks")
      ->check(one_of({"rows", "columns", "expand", "window"}));
  option("--rotate-mib", asked.rotating_mib, "MIB", "weights that --mode rotate passes through; 96 by default")
      ->check(number_in(1, 16384));
  option("--seconds", asked.seconds, "NUMBER", "for each of a row's times, up to 60")->check(number_in(0, 60));
  option("--seed", asked.seed, "NUMBER", "of all operands")->check(number_in(0, 1e15));
  app.get_formatter()->column_width(24);
  app.footer(wrapped("Options that name several things take several names. Those of Google Benchmark work too, such as "
                     "--benchmark_filter=<regex> and --benchmark_out=<file>.",
                     0) +
             wrapped("modes:     hot: the same weights in every call; rotate: more weights than the caches hold; k_major: "
                     "hot, X and Y by columns, compared with dense by rows; amx: hot, bytes in the tiles of AMX",
                     11) +
             wrapped(fmt::format("numerics:  {}", fmt::join(workbench::numerics(), " ")), 11));
}

/// Refuses what would not change how convolutions are measured. Throws sparq::error.
void check_convolutions(const request& asked) {
  if (asked.convolutions.empty()) return;
  if (!asked.loop.empty()) sparq::raise("--conv: the plan picks the loop of convolutions; leave --loop out");
  if (has(asked.modes, "k_major")) sparq::raise("--conv: images lie by rows (NHWC); leave --mode k_major out");
  if (!asked.shapes.empty()) return;  // which other types are for
  for (const std::string& types : asked.numerics)
    if (types != "u8xs8") sparq::raise(fmt::format("--conv: convolutions are measured as u8xs8, not as {}", types));
}

/// The published table, as far as nothing else is asked for.
void fill_in_defaults(request& asked) {
  if (asked.shapes.empty() && asked.convolutions.empty()) {
    asked.shapes = {"128x768x768", "512x1024x1024", "196x256x2304", "3136x64x576"};
    if (asked.loop.empty() && !has(asked.modes, "k_major") && (asked.numerics.empty() || has(asked.numerics, "u8xs8")))
      asked.convolutions = {"56x56x64x64x3", "28x28x128x128x3", "14x14x256x256x3", "56x56x64x256x1"};
  }
  if (asked.numerics.empty()) asked.numerics = {"u8xs8", "s8xs8", "u8xs4", "f32xf32", "bf16xbf16"};
  if (asked.modes.empty()) asked.modes = {"hot"};
  if (asked.sparsities.empty()) asked.sparsities = {0.5, 0.75, 0.875};
}

std::vector<problem> problems_of(const request& asked) {
  std::vector<problem> problems;
  for (const auto& types : asked.numerics)
    for (const auto& text : asked.shapes) problems.push_back(gemm_problem(text, types, asked));
  for (const auto& text : asked.convolutions) problems.push_back(convolution_problem(text, asked.seed));
  return problems;
}

/// Machine, build and peaks, which stand above the table and in the file.
void add_context(const request& asked, const read_speeds& speeds) {
  for (const auto& level : speeds.levels())
    benchmark::AddCustomContext("read_" + level.name + "_gb_s", fmt::format("{:.1f}", level.speed));
  benchmark::AddCustomContext("isa", sparq::to_string(sparq::native_isa));
  benchmark::AddCustomContext("cpu", SPARQ_BENCH_CPU);
  benchmark::AddCustomContext("compiler", SPARQ_BENCH_COMPILER);
  benchmark::AddCustomContext("flags", SPARQ_BENCH_FLAGS);
  benchmark::AddCustomContext("commit", SPARQ_BENCH_COMMIT);
  benchmark::AddCustomContext("seed", std::to_string(asked.seed));
  const auto add_peak = [](const char* name, const auto& kernel) {
    benchmark::AddCustomContext(name, fmt::format("{:.1f}", workbench::gmacs(kernel)));
  };
  add_peak("dot_peak_gmacs", workbench::dot_kernel());
  add_peak("popcount_peak_gmacs", workbench::popcount_kernel());
  add_peak("fma_peak_gmacs", workbench::fma_kernel());
}

}  // namespace

int main(int argc, char** argv) try {
  // Google Benchmark takes its own options away, and would answer --help without ours.
  const bool asks_for_help =
      std::any_of(argv, argv + argc, [](std::string_view a) { return a == "--help" || a == "-h"; });
  // A heading above the counters instead of their names in every row, unless the caller says otherwise.
  char tabular[] = "--benchmark_counters_tabular=true";
  std::vector<char*> arguments(argv, argv + argc);
  int count = argc;
  if (!asks_for_help) {
    arguments.insert(arguments.begin() + 1, tabular);
    ++count;
    benchmark::Initialize(&count, arguments.data());
  }
  request asked;
  CLI::App app("Measures products of sparse and quantized weights on this machine, one thread.");
  add_options(app, asked);
  CLI11_PARSE(app, count, arguments.data());

  check_convolutions(asked);
  fill_in_defaults(asked);
  const std::vector<problem> problems = problems_of(asked);
  check_formats(problems, asked);
  const read_speeds speeds;
  add_context(asked, speeds);
  if (asked.with_peers && !peers::missing_packages().empty())
    fmt::print(stderr, "sparq_bench: no peers from {}, which were missing when this was built\n",
               peers::missing_packages());

  baseline known;
  bool all_ran = true;
  for (const problem& what : problems)
    for (const auto& format : formats_of(what, asked)) {
      for (const double sparsity : sparsities_of(format, what, asked))
        for (const auto& mode : asked.modes) {
          const std::string name = fmt::format("{}/{}/{}/{}/{:g}/{}", what.name, format, what.numerics, what.extents,
                                               sparsity * 100, mode);
          benchmark::RegisterBenchmark(name.c_str(), [&known, &speeds, &asked, &what, &all_ran, format, sparsity,
                                                      mode](benchmark::State& state) {
            all_ran &= run(state, known, speeds, asked, what, format, sparsity, mode);
          })->Unit(benchmark::kMicrosecond);
        }
    }
  const std::size_t found = benchmark::RunSpecifiedBenchmarks();
  return found != 0 && all_ran ? 0 : 1;
} catch (const std::bad_alloc&) {
  fmt::print(stderr, "sparq_bench: memory ran out\n");
  return 1;
} catch (const std::exception& problem) {
  fmt::print(stderr, "sparq_bench: {}\n", problem.what());
  return 2;
}
