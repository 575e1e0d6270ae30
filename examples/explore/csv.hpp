// SPDX-License-Identifier: MIT
#pragma once
// The report as a table for other programs: speed over sparsity, hot and cold, one line for each measurement, RFC 4180.
// The last two columns repeat the break-even point of the format on its layer: empty where it never catches up with
// dense, `break_even_at_most` 1 where it is ahead at the lowest sparsity measured.

#include "results.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
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
      "layer,m,n,k,format,numeric,sparsity,bytes_per_weight,microseconds,gmacs,vs_dense,cold_microseconds,"
      "vs_dense_cold,packing_microseconds,slot_efficiency,sqnr_db,max_error,break_even,break_even_at_most\r\n";
  for (const measurement& at : found.measurements) {
    const layer& of = found.layers[at.layer];
    csv += csv_text(of.name) + ',' + std::to_string(of.m) + ',' + std::to_string(of.n) + ',' + std::to_string(of.k) +
           ',' + csv_text(at.format) + ',' + csv_text(at.numeric);
    const auto add = [&](std::optional<double> figure, double factor = 1) {
      char number[32] = "";
      if (figure) std::snprintf(number, sizeof number, "%.6g", *figure * factor);  // "inf" where weights are exact
      (csv += ',') += number;
    };
    add(at.sparsity);
    add(at.bytes_per_weight);
    add(at.hot_seconds, 1e6);
    add(at.gmacs);
    add(at.vs_dense);
    add(at.rotating_seconds, 1e6);  // empty where it was not measured
    add(at.vs_dense_rotating);
    add(at.pack_seconds, 1e6);
    add(at.slot_efficiency);
    add(at.sqnr_db);
    add(at.max_error);
    const auto even = std::find_if(found.break_evens.begin(), found.break_evens.end(), [&](const break_even& b) {
      return b.layer == at.layer && b.format == at.format && b.numeric == at.numeric;
    });
    const bool found_one = even != found.break_evens.end() && even->sparsity;
    add(found_one ? even->sparsity : std::nullopt);
    csv += found_one ? (even->at_most ? ",1\r\n" : ",0\r\n") : ",\r\n";
  }
  return csv;
}

}  // namespace explore
