// SPDX-License-Identifier: MIT
#pragma once
// Asking for weights ahead, where several strips that follow each other in memory are read beside each other: each a
// piece ahead, and near their ends for the beginnings of the next strips, which the CPU could not know yet.

#include <sparq/base/config.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Asks for the line of memory that lies so many elements behind p, whether or not there is one.
template <class T>
SPARQ_INLINE void fetch_ahead(const T* p, std::size_t elements) {
#if defined(__GNUC__)
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + elements * sizeof *p));
#else
  static_cast<void>(p), static_cast<void>(elements);
#endif
}

/// Lines of a strip that are asked for ahead: 1 KiB.
inline constexpr std::size_t lines_ahead = 16;

/// How many lines behind line i of a strip lies the one that is asked for with it: in the strip, or, at its end, in the
/// one that is read next in its place.
/// - `strips`: read beside each other; `count`: lines of each
SPARQ_INLINE std::size_t strip_lines_ahead(std::size_t strips, std::size_t i, std::size_t count) {
  return lines_ahead + (i + lines_ahead < count ? 0 : (strips - 1) * count);
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
