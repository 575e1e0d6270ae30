// SPDX-License-Identifier: MIT
#pragma once
// Sums of int32 in plain C++ wrap around, as they do in registers: a sum that fits may leave int32 on its way, sums that an
// atom has offset fit again when the offset is taken back, and lanes that are not stored may hold anything.

#include <sparq/base/config.hpp>

#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {
template <class R>
SPARQ_INLINE R plus(const R& a, const R& b) {
  if constexpr (std::is_same_v<R, std::int32_t>)
    return static_cast<R>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
  else
    return a + b;
}
template <class R>
SPARQ_INLINE R minus(const R& a, const R& b) {
  if constexpr (std::is_same_v<R, std::int32_t>)
    return static_cast<R>(static_cast<std::uint32_t>(a) - static_cast<std::uint32_t>(b));
  else
    return a - b;
}
template <class R>
SPARQ_INLINE R times(const R& a, const R& b) {
  if constexpr (std::is_same_v<R, std::int32_t>)
    return static_cast<R>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
  else
    return a * b;
}
}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
