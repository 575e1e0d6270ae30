// SPDX-License-Identifier: MIT
#pragma once
// The report as a table for other programs: speed over sparsity, one line for each measurement, RFC 4180. The last two
// columns repeat the break-even point of the measurement's format on its layer: empty where it never catches up with
// dense, `break_even_at_most` 1 where it is ahead at the lowest sparsity measured.

#include "results.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

namespace explore {

/// Text in quotes, which are doubled inside.
inline std::string csv_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

/// The header line and one line for each measurement of the report.
inline std::string to_csv(const report& found) {
  std::string csv =
      "layer,m,n,k,format,numeric,sparsity,bytes_per_weight,microseconds,gmacs,vs_dense,slot_efficiency,sqnr_db,max_error,"
      "break_even,break_even_at_most\r\n";
  for (const measurement& at : found.measurements) {
    const layer& of = found.layers[at.layer];
    csv += csv_text(of.name) + ',' + std::to_string(of.m) + ',' + std::to_string(of.n) + ',' + std::to_string(of.k) + ',' +
           csv_text(at.format) + ',' + csv_text(at.numeric);
    char numbers[160];
    std::snprintf(numbers, sizeof numbers, ",%.6g,%.6g,%.6g,%.6g,%.6g,", at.sparsity, at.bytes_per_weight,
                  at.hot_seconds * 1e6, at.gmacs, at.vs_dense);
    csv += numbers;
    if (at.slot_efficiency) {
      std::snprintf(numbers, sizeof numbers, "%.6g", *at.slot_efficiency);
      csv += numbers;
    }
    std::snprintf(numbers, sizeof numbers, ",%.6g,%.6g,", at.sqnr_db, at.max_error);  // "inf" where weights are exact
    csv += numbers;
    const auto even = std::find_if(found.break_evens.begin(), found.break_evens.end(), [&](const break_even& b) {
      return b.layer == at.layer && b.format == at.format && b.numeric == at.numeric;
    });
    if (even != found.break_evens.end() && even->sparsity) {
      std::snprintf(numbers, sizeof numbers, "%.6g,%d", *even->sparsity, even->at_most ? 1 : 0);
      csv += numbers;
    } else {
      csv += ',';
    }
    csv += "\r\n";
  }
  return csv;
}

}  // namespace explore
