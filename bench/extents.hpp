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
  std::sscanf(text.c_str(), "%zux%zux%zu", &read.m, &read.n, &read.k);
  // of two of them no product overflows
  const auto is_extent = [](std::size_t e) { return e != 0 && e <= std::size_t{1} << 30; };
  if (std::to_string(read.m) + 'x' + std::to_string(read.n) + 'x' + std::to_string(read.k) != text ||
      !is_extent(read.m) || !is_extent(read.n) || !is_extent(read.k))
    sparq::raise(text + " is not MxNxK with three extents from 1 to 2^30, like 512x1024x1024");
  return read;
}
