// SPDX-License-Identifier: MIT
#pragma once
// The command line as checked values.

#include "options.hpp"

#include "bench/extents.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace explore {

struct command_line {
  options asked;
  std::vector<std::filesystem::path> inputs;  // .npy files and network folders; empty: the built-in shapes
  std::vector<std::filesystem::path> pruned;  // .smtx and .mtx
  std::vector<extents> shapes;                // of layers with generated weights
  std::optional<std::filesystem::path> json;
  std::optional<std::filesystem::path> html;
  std::optional<std::filesystem::path> csv;
  std::optional<std::filesystem::path> from_json;
  std::size_t rows = 4;  // of a block of the table, 0: all
};

/// The command line is wrong; the sentence says how.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Reads the command line; nothing if it asked for help only, which is then printed. `formats` and `numerics` are the
/// names that may be asked for; a format may also be named without its parameters, which means all of that family.
/// Throws usage_error.
std::optional<command_line> parse(int argc, const char* const* argv, const std::vector<std::string>& formats,
                                  const std::vector<std::string>& numerics);

}  // namespace explore
