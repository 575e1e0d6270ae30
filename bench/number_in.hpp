// SPDX-License-Identifier: MIT
#pragma once
// Numbers on a command line.

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <string>
#include <system_error>

/// Takes numbers from `low` to `high`. CLI::Range takes NaN as well.
inline CLI::Validator number_in(double low, double high) {
  const auto check = [=](const std::string& text) {
    double value = 0;
    const char* const last = text.data() + text.size();
    const auto [end, failure] = std::from_chars(text.data(), last, value);
    if (failure == std::errc() && end == last && value >= low && value <= high) return std::string();
    return fmt::format("\"{}\" is not a number from {} to {}", text, low, high);
  };
  return CLI::Validator(check, "");
}
