// SPDX-License-Identifier: MIT
#pragma once
// The report as text for a terminal, at most 100 columns wide.

#include "results.hpp"

#include <cstddef>
#include <string>

namespace explore {

struct table_style {
  bool colour = false;
  std::size_t rows = 4;  // sparse rows per sparsity; the dense ones always show; 0: all
};

/// The machine and what it can do at best.
std::string machine_text(const machine& here);

/// The measurements of one layer: a block per sparsity, fastest first, the fastest marked, dense in its place.
std::string layer_text(const report& found, std::size_t layer, const table_style& style);

/// The networks that were run; empty if there are none.
std::string networks_text(const report& found);

/// A headline per layer and numeric type, and what the columns mean.
std::string summary_text(const report& found, const table_style& style);

}  // namespace explore
