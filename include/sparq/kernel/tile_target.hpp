// SPDX-License-Identifier: MIT
#pragma once
// Y and the epilogue of an operation behind one function, so that loops are compiled for X and W only: each type of Y and
// each list of stages adds a store_tile and not another loop. The call is one for a tile of sums over all k's.

#include <sparq/kernel/epilogue.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

/// A loop's Y. Refers to a Y and stages that outlive it.
template <class Acc>
struct tile_target {
  using store_function = void (*)(const void* y, const void* stages, const Acc* tile, std::size_t ldt, std::size_t rows,
                                  std::size_t channels, std::int32_t factor, const lane_position& at) noexcept;

  const void* y = nullptr;
  const void* stages = nullptr;
  std::size_t rows = 0;
  store_function store = nullptr;
};

/// The stages of a tile_target are part of it.
struct stages_of_target {};

template <class Acc, class Y, class Epilogue>
tile_target<Acc> tile_target_of(const Y& y, const Epilogue& stages) {
  return {&y, &stages, y.rows,
          [](const void* to, const void* all_stages, const Acc* tile, std::size_t ldt, std::size_t rows,
             std::size_t channels, std::int32_t factor, const lane_position& at) noexcept {
            store_tile(tile, ldt, rows, channels, factor, *static_cast<const Y*>(to), at,
                       *static_cast<const Epilogue*>(all_stages));
          }};
}

/// See kernel/epilogue.hpp.
template <class Acc>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const tile_target<Acc>& y, const lane_position& at, const stages_of_target&) noexcept {
  y.store(y.y, y.stages, tile, ldt, rows, channels, factor, at);
}

SPARQ_ABI_END
}  // namespace sparq
