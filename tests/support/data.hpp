// SPDX-License-Identifier: MIT
#pragma once
// Where the external test data is. A test that asks for it and gets nothing returns at once; the line printed here
// makes ctest list it as skipped.

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

/// The folder that cmake -DSPARQ_TEST_DATA=<folder> named, if any.
inline std::optional<std::string> test_data() {
  const char* const folder = std::getenv("SPARQ_TEST_DATA");
  if (folder != nullptr && *folder != '\0') return folder;
  std::cout << "skipped: needs the external test data (cmake -DSPARQ_TEST_DATA=<folder>)\n";
  return std::nullopt;
}
