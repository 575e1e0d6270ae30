// SPDX-License-Identifier: MIT
#pragma once
// The seam between the program and what it measures: everything that runs a kernel is declared here and defined in the
// measure_*.cpp, one per numeric type to keep compile times apart.

#include "options.hpp"
#include "progress.hpp"
#include "results.hpp"
#include "workload.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace explore {

/// Every format that can be measured, in the library's spelling; "dense" comes first.
std::vector<std::string> format_names();

/// Every numeric type that can be measured, widest first.
std::vector<std::string> numeric_names();

/// Fills in the peaks and the read bandwidths of `here`, whose caches are known.
void measure_peaks(machine& here, const options& asked, progress& shown);

struct layer_result {
  std::vector<measurement> measurements;
  std::vector<omission> omissions;
};

/// Measures every format x numeric x sparsity asked for on one layer; vs_dense is relative to the "dense" measurement
/// of the same numeric type in the result. `layer` is the index that the result refers to.
layer_result measure(const workload& work, std::size_t layer, const machine& here, const options& asked,
                     progress& shown);

/// Runs a network folder over its recorded inputs, once per variant. Throws sparq::error.
std::vector<network_run> measure_network(const std::filesystem::path& folder, const options& asked, progress& shown);

}  // namespace explore
