// SPDX-License-Identifier: MIT
#pragma once
// The report as text for a terminal, 80 columns wide. The files that are written have more columns.

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

/// What the columns of layer_text mean.
std::string legend_text();

/// The measurements of one layer: a block per sparsity, fastest first, the fastest marked, dense in its place.
std::string layer_text(const report& found, std::size_t layer, const table_style& style);

/// The networks that were run; empty if there are none.
std::string networks_text(const report& found);

/// A headline per layer and numeric type.
std::string summary_text(const report& found, const table_style& style);

}  // namespace explore
