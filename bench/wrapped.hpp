// SPDX-License-Identifier: MIT
#pragma once
// Text in the lines of a terminal.

#include <cstddef>
#include <string>

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
