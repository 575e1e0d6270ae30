// SPDX-License-Identifier: MIT
#pragma once
// What the user asked to have measured: the part of the command line that the measuring reads.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace explore {

struct options {
  std::vector<std::string> formats;   // names of format_names(); "dense", the baseline, is always among them
  std::vector<std::string> numerics;  // names of numeric_names()
  std::vector<double> sparsities;     // ascending, each in [0, 1); empty: see sparsity_levels()
  std::optional<std::size_t> m;       // activation rows of every layer, instead of the layer's own
  bool quick = false;                 // fewer layers and levels, shorter measurements
  bool amx = false;                   // bytes in tiles
  std::uint64_t seed = 1;
};

}  // namespace explore
