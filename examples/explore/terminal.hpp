// SPDX-License-Identifier: MIT
#pragma once
// What a terminal can show.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace explore {

/// Lines of at most 80 columns, broken at spaces; lines after the first start with `indent` spaces.
inline std::string wrapped(std::string text, std::size_t indent) {
  constexpr std::size_t width = 80;
  std::string result;
  while (text.size() > width) {
    const std::size_t space = text.rfind(' ', width);
    if (space == text.npos || space <= indent) break;  // one long word
    result += text.substr(0, space) + '\n';
    text = std::string(indent, ' ') + text.substr(space + 1);
  }
  return result + text + '\n';
}

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
