// SPDX-License-Identifier: MIT
#pragma once
// The extents of a product, as options and files write them.

#include <sparq/base/error.hpp>

#include <cstddef>
#include <cstdio>
#include <string>

struct extents {
  std::size_t m = 0, n = 0, k = 0;
};

/// Reads 512x1024x1024; throws sparq::error.
inline extents parse_extents(const std::string& text) {
  extents read;
  int used = 0;
  if (text.find('-') != std::string::npos ||
      std::sscanf(text.c_str(), "%zux%zux%zu%n", &read.m, &read.n, &read.k, &used) != 3 ||
      static_cast<std::size_t>(used) != text.size() || read.m == 0 || read.n == 0 || read.k == 0)
    sparq::raise(text + " is not MxNxK with three positive extents, like 512x1024x1024");
  return read;
}
