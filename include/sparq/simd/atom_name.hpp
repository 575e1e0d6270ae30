// SPDX-License-Identifier: MIT
#pragma once
// Names of atoms: <op><k>_<x><w>_<isa>, put together when they are compiled.

#include <sparq/base/config.hpp>
#include <sparq/numeric/numeric.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// A part of a name, as an argument of a template.
struct name_part {
  char characters[24] = {};
  std::size_t size = 0;

  constexpr name_part(std::string_view text) {
    for (const char c : text) characters[size++] = c;
  }
  constexpr name_part(const char* text) : name_part(std::string_view(text)) {}
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
/// The parts in a row.
template <name_part... Parts>
inline constexpr std::string_view joined_name{joined_parts<Parts...>::characters.data(), joined_parts<Parts...>::size};

/// What names say of codes of N: integers of 8 bits and fewer are bytes when they are multiplied.
template <numeric N>
inline constexpr name_part code_name = N::is_integer && N::bits <= 8 ? (N::is_signed ? "s8" : "u8") : N::name;

/// The name of an atom: joined_name of what it does, X, W, and what it needs.
template <name_part Operation, numeric X, numeric W, name_part Isa>
inline constexpr std::string_view atom_name = joined_name<Operation, code_name<X>, code_name<W>, Isa>;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
