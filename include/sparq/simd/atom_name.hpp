// SPDX-License-Identifier: MIT
#pragma once
// Names of atoms: <op><k>_<x><w>_<isa>, put together when they are compiled.

#include <sparq/base/config.hpp>
#include <sparq/base/joined_name.hpp>
#include <sparq/numeric/numeric.hpp>

#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

using sparq::detail::joined_name;
using sparq::detail::name_part;

/// What names say of codes of N: integers of 8 bits and fewer are bytes when they are multiplied.
template <numeric N>
inline constexpr name_part code_name = N::is_integer && N::bits <= 8 ? (N::is_signed ? "s8" : "u8") : N::name;

/// The name of an atom: joined_name of what it does, X, W, and what it needs.
template <name_part Operation, numeric X, numeric W, name_part Isa>
inline constexpr std::string_view atom_name = joined_name<Operation, code_name<X>, code_name<W>, Isa>;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
