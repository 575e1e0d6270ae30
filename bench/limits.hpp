// SPDX-License-Identifier: MIT
#pragma once
// What bounds a product on this machine: the multiplications of its types, and how fast weights are read.

#include "bench/workbench/peaks.hpp"

#include <sparq/base/amx.hpp>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

/// Types are named X x W, like u8xs8 and f32xf32.
inline bool has_floats(const std::string& numerics) { return numerics.starts_with("f") || numerics.starts_with("bf"); }

/// Products of mode amx run in tiles while one of these lives. Throws sparq::error where there are none.
class mode_scope {
 public:
  explicit mode_scope(const std::string& mode) : in_tiles_(mode == "amx") {
    if (in_tiles_) sparq::use_amx();
  }
  ~mode_scope() {
    if (in_tiles_) sparq::stop_using_amx();
  }
  mode_scope(const mode_scope&) = delete;
  mode_scope& operator=(const mode_scope&) = delete;

 private:
  bool in_tiles_;
};

/// The peak that bounds a product of these types.
inline workbench::peak_kernel peak_of(const std::string& numerics) {
  if (numerics.starts_with("b1x")) return workbench::popcount_kernel();
  if (numerics.starts_with("bf16x")) return workbench::bf16_kernel();
  return has_floats(numerics) ? workbench::fma_kernel() : workbench::dot_kernel();
}

/// Bytes of the largest cache; 0 if none is known.
inline std::size_t last_cache() {
  std::size_t last = 0;
  for (const auto& cache : benchmark::CPUInfo::Get().caches)
    if (cache.type != "Instruction") last = std::max(last, static_cast<std::size_t>(cache.size));
  return last;
}

/// How fast this core reads, from the smallest cache that holds what is read.
class read_speeds {
 public:
  struct level {
    std::string name;
    std::size_t bytes;
    double speed;  // 10^9 bytes a second
  };

  read_speeds() {
    std::size_t last = 0;
    for (const auto& cache : benchmark::CPUInfo::Get().caches) {
      const auto bytes = static_cast<std::size_t>(cache.size);
      if (cache.type == "Instruction" || bytes <= last) continue;
      levels_.push_back({fmt::format("L{}", cache.level), bytes, workbench::read_bandwidth(bytes / 2)});
      last = bytes;
    }
    levels_.push_back(
        {"memory", ~std::size_t{0}, workbench::read_bandwidth(4 * std::max(last_cache(), std::size_t{16} << 20))});
  }
  const std::vector<level>& levels() const { return levels_; }
  /// 10^9 bytes a second.
  double of(std::size_t bytes) const {
    for (const auto& found : levels_)
      if (bytes <= found.bytes) return found.speed;
    return levels_.back().speed;
  }

 private:
  std::vector<level> levels_;
};
