// SPDX-License-Identifier: MIT
#pragma once
// Y and the epilogue of an operation behind one function, so that loops are compiled for X and W only: each type of Y
// and each list of stages adds a store_tile and not another loop. It is called once for a tile of sums over all k's.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The cache line of `at`, which will be written soon.
SPARQ_INLINE void prefetch_for_writing([[maybe_unused]] const std::byte* at) {
#if defined(__GNUC__)
  __builtin_prefetch(at, 1);
#endif
}

template <class Y>
inline constexpr bool is_by_columns_v = false;
template <class T>
inline constexpr bool is_by_columns_v<k_major_view<T>> = true;
template <class Y>
inline constexpr bool has_rows_in_memory_v = false;
template <class T>
inline constexpr bool has_rows_in_memory_v<matrix_view<T>> = true;

/// Some rows of a matrix, which keep their numbers: the first one is row `first_row`.
template <class T>
struct numbered_rows : matrix_view<T> {
  std::size_t first_row = 0;
  T& operator()(std::size_t row, std::size_t column) const {
    return matrix_view<T>::operator()(row - first_row, column);
  }
};
template <class T>
inline constexpr bool has_rows_in_memory_v<numbered_rows<T>> = true;

/// Whether sums that lie by columns reach Y without being turned themselves.
template <class Y>
inline constexpr bool takes_column_sums_v = is_by_columns_v<Y>;
template <class T>
inline constexpr bool takes_column_sums_v<matrix_view<T>> = sizeof(T) == 1;

}  // namespace machine

/// A loop's Y. Refers to a Y and stages that outlive it.
template <class Acc>
struct tile_target {
  using store_function = void (*)(const void* y, const void* stages, const Acc* tile, std::size_t ldt, std::size_t rows,
                                  std::size_t channels, std::int32_t factor, const lane_position& at) noexcept;

  const void* y = nullptr;
  const void* stages = nullptr;
  std::size_t rows = 0;
  store_function store = nullptr;
  const std::byte* elements = nullptr;  // of a Y whose rows lie in memory, null for others
  std::size_t row_bytes = 0;            // from one row to the next
  std::size_t element_bytes = 0;
  std::size_t first_row = 0;                   // that lies at `elements`
  store_function store_column_sums = nullptr;  // where Y and the stages take sums that lie by columns

  /// Asks for the cache lines that the next tile goes to, while its sums are computed: one for each 64 bytes of a row,
  /// without the one that a row reaches into by less.
  void prefetch(std::size_t row, std::size_t count, std::size_t channel, std::size_t channels) const noexcept {
    if (elements == nullptr) return;
    const std::byte* at = elements + (row - first_row) * row_bytes + channel * element_bytes;
    for (std::size_t r = 0; r < count; ++r, at += row_bytes)
      for (std::size_t i = 0; i < channels * element_bytes; i += 64) machine::prefetch_for_writing(at + i);
  }
};

/// The stages of a tile_target are part of it.
struct stages_of_target {};

template <class Acc, class Y, class Epilogue>
tile_target<Acc> tile_target_of(const Y& y, const Epilogue& stages) {
  tile_target<Acc> result{&y, &stages, y.rows,
          [](const void* to, const void* all_stages, const Acc* tile, std::size_t ldt, std::size_t rows,
             std::size_t channels, std::int32_t factor, const lane_position& at) noexcept {
            store_tile(tile, ldt, rows, channels, factor, *static_cast<const Y*>(to), at,
                       *static_cast<const Epilogue*>(all_stages));
          }};
  if constexpr (machine::has_rows_in_memory_v<Y>) {
    result.elements = reinterpret_cast<const std::byte*>(y.data);
    result.element_bytes = sizeof *y.data;
    result.row_bytes = y.stride * sizeof *y.data;
    if constexpr (requires { y.first_row; }) result.first_row = y.first_row;
  }
  if constexpr (machine::takes_column_sums_v<Y> && machine::takes_rows_v<Epilogue>)
    result.store_column_sums = [](const void* to, const void* all_stages, const Acc* tile, std::size_t ldt,
                                  std::size_t rows, std::size_t channels, std::int32_t factor,
                                  const lane_position& at) noexcept {
      sparq::store_column_sums(tile, ldt, rows, channels, factor, *static_cast<const Y*>(to), at,
                               *static_cast<const Epilogue*>(all_stages));
    };
  return result;
}

/// See kernel/epilogue/epilogue.hpp.
template <class Acc>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const tile_target<Acc>& y, const lane_position& at, const stages_of_target&) noexcept {
  y.store(y.y, y.stages, tile, ldt, rows, channels, factor, at);
}

SPARQ_ABI_END
}  // namespace sparq
