// SPDX-License-Identifier: MIT
#pragma once
// What the measurements say, in a sentence: shared by the terminal and the HTML page.

#include "results.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace explore {

/// The break-even of every format x numeric of every layer, from the measurements of `found`.
std::vector<break_even> find_break_evens(const report& found);

/// What to do with one layer in one numeric type.
struct headline {
  std::size_t layer = 0;
  std::string numeric;
  bool sparse = false;  // some sparse format beats dense by more than the noise
  std::string format;   // the fastest one at `sparsity`; the best loser when dense wins
  double sparsity = 0;
  double vs_dense = 0;
  std::string text;  // one sentence
};

/// One headline per layer and numeric type, in the order of the layers and then of the measurements.
std::vector<headline> headlines(const report& found);

/// Signs that the measuring was disturbed, a sentence each: speeds above the measured peak, or a core that was shared.
/// Figures of a report with doubts should not be used.
std::vector<std::string> doubts(const report& found);

/// The numeric type whose dense kernel is the fastest on `layer`; empty if none was measured.
std::string fastest_dense_numeric(const report& found, std::size_t layer);

/// "75 %", "87.5 %".
std::string percent(double fraction);

/// "2.84x", "12.8x", "128x".
std::string times(double ratio);

}  // namespace explore
