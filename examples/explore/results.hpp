// SPDX-License-Identifier: MIT
#pragma once
// What explore finds out, as plain data: the measuring fills it, and the terminal, the JSON file and the HTML page are
// three views of it. Nothing here computes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace explore {

struct cache {
  std::string name;  // "L1d", "L2", "L3"
  std::size_t bytes = 0;
};

struct bandwidth {
  std::string level;  // a cache's name, or "memory"
  double gb_per_second = 0;
};

struct machine {
  std::string cpu;
  std::string isa;       // the instruction sets that the kernels were compiled for
  std::string compiler;  // name and version
  std::string flags;
  std::string commit;                      // of the library's sources
  std::vector<cache> caches;               // smallest first, one core's view
  double dot_gmacs = 0;                    // peak of the integer dot product, one thread
  double fma_gmacs = 0;                    // peak of the f32 multiply-add, one thread
  std::vector<bandwidth> read_bandwidths;  // smallest level first, one thread
  std::uint64_t seed = 0;                  // of every generated operand
};

/// One product Y[m][n] = sum_k X[m][k] * W[n][k]; a convolution is written as the product that it amounts to.
struct layer {
  std::string name;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  std::string kind;           // "gemm", "conv 3x3", ...
  std::string source;         // a file, or the network whose shape it is
  double given_sparsity = 0;  // zeros that the weights already had, as a fraction
};

/// One format x numeric x sparsity on one layer. Speeds count the multiply-adds of the dense product, so that a format
/// that skips half of them in the same time counts the same.
struct measurement {
  std::size_t layer = 0;        // index into report::layers
  std::string format;           // "dense", "csr", "tile_wise<128>", ...
  std::string numeric;          // "f32", "bf16", "s8", "s4"
  double target_sparsity = 0;   // what was asked for
  double sparsity = 0;          // what the format reached
  std::size_t bytes = 0;        // weights, scales and metadata as stored
  double bytes_per_weight = 0;  // bytes / (n k)
  double sqnr_db = 0;           // stored weights against the given ones; infinite when they are equal
  double max_error = 0;         // largest difference of one weight, as a fraction of the largest weight
  double pack_seconds = 0;
  double hot_seconds = 0;                  // one call, weights and activations in cache
  std::optional<double> rotating_seconds;  // one call, every call with other weights, more than the last cache holds
  double gmacs = 0;                        // m n k / hot_seconds, in 10^9 a second
  double vs_dense = 0;                     // speed over that of the dense kernel of the same numeric type, hot
  std::optional<double> vs_dense_rotating;
  double of_peak = 0;                     // multiply-adds executed in hot_seconds, as a fraction of the machine's peak
  std::optional<double> slot_efficiency;  // non-zero / stored codes; older reports lack it
  std::string kernel;                     // which kernel ran, in the library's own words
  std::string note;
};

/// From which sparsity on a format is at least as fast as dense, weights hot.
struct break_even {
  std::size_t layer = 0;
  std::string format;
  std::string numeric;
  std::optional<double> sparsity;  // none: not ahead at the highest sparsity measured
  bool at_most = false;            // ahead at the lowest sparsity measured already
};

/// A combination that was left out, and the reason.
struct omission {
  std::size_t layer = 0;
  std::string format;
  std::string numeric;
  std::string reason;
};

/// A whole network, run over its recorded inputs in one variant.
struct network_run {
  std::string name;
  std::string variant;      // what the layers were stored as, e.g. "s8 csr 90 %"
  std::size_t inputs = 0;   // how many were run
  std::size_t matches = 0;  // outputs that agree with the recorded ones within the recorded tolerance
  std::size_t of = 0;       // outputs compared
  std::size_t top1_correct = 0;
  std::size_t labelled = 0;  // inputs that have a label
  std::size_t bytes = 0;     // of all weights
  double seconds_per_input = 0;
  std::string note;
};

struct report {
  std::string date;                 // UTC, ISO 8601
  std::optional<double> cpu_share;  // CPU time over time passed while measuring; 1 if nobody else wanted the core
  explore::machine machine;
  std::vector<layer> layers;
  std::vector<measurement> measurements;
  std::vector<break_even> break_evens;
  std::vector<omission> omissions;
  std::vector<network_run> networks;
};

}  // namespace explore
