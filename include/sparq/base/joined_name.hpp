// SPDX-License-Identifier: MIT
#pragma once
// Names that are put together at compile time: those of types with parameters, and those of atoms.

#include <array>
#include <cstddef>
#include <string_view>

namespace sparq::detail {

/// A part of a name as an argument of a template: a text of at most 32 characters, or a number in decimal.
struct name_part {
  char characters[32] = {};
  std::size_t size = 0;

  constexpr name_part(std::string_view text) {
    for (const char c : text) characters[size++] = c;
  }
  constexpr name_part(const char* text) : name_part(std::string_view(text)) {}
  constexpr name_part(std::size_t number) {
    for (std::size_t rest = number; size == 0 || rest != 0; rest /= 10) ++size;
    for (std::size_t i = size; i > 0; number /= 10) characters[--i] = static_cast<char>('0' + number % 10);
  }
};

template <name_part... Parts>
struct joined_parts {
  static constexpr std::size_t size = (Parts.size + ...);
  static constexpr auto characters = [] {
    std::array<char, size> result{};
    std::size_t next = 0;
    const auto add = [&](const name_part& part) {
      for (std::size_t i = 0; i < part.size; ++i) result[next++] = part.characters[i];
    };
    (add(Parts), ...);
    return result;
  }();
};
/// The parts, one behind the other.
template <name_part... Parts>
inline constexpr std::string_view joined_name{joined_parts<Parts...>::characters.data(), joined_parts<Parts...>::size};

}  // namespace sparq::detail
