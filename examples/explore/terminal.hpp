// SPDX-License-Identifier: MIT
#pragma once
// What a terminal can show.

#include <cstdio>
#include <cstdlib>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace explore {

inline bool is_terminal(std::FILE* stream) {
#if defined(_WIN32)
  return _isatty(_fileno(stream)) != 0;
#else
  return isatty(fileno(stream)) != 0;
#endif
}

/// Colour goes to terminals only, and not there either if the user set NO_COLOR (no-color.org).
inline bool wants_colour(std::FILE* stream) {
  const char* const refused = std::getenv("NO_COLOR");
  return is_terminal(stream) && (refused == nullptr || *refused == '\0');
}

}  // namespace explore
