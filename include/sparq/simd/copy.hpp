// SPDX-License-Identifier: MIT
#pragma once
// Copies the short runs of which patches are made: tens to hundreds of bytes, where a call of memcpy costs as much as
// the copy; and rows of narrow floats, which become f32.

#include <sparq/base/config.hpp>

#include <cstddef>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

/// Copies `count` elements; the ranges must not overlap and nothing beyond them is touched.
template <class T>
SPARQ_INLINE void copy_elements(const T* from, std::size_t count, T* to) {
  constexpr std::size_t step = 32;
  const auto* source = reinterpret_cast<const char*>(from);
  auto* target = reinterpret_cast<char*>(to);
  const std::size_t bytes = count * sizeof(T);
  if (bytes < step) {
    std::memcpy(target, source, bytes);
    return;
  }
  std::size_t i = 0;
  for (; i + step <= bytes; i += step) std::memcpy(target + i, source + i, step);
  std::memcpy(target + bytes - step, source + bytes - step, step);  // the rest, over what is there already
}

namespace machine {

/// Floats of any kind as f32.
template <class T>
inline void widen_floats(const T* from, std::size_t count, float* to) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (count != 0) std::memcpy(to, from, count * sizeof(float));
  } else {
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
