// SPDX-License-Identifier: MIT
#pragma once
// Stages around codes of a few bits: thresholds instead of a multiplication, a table behind a requantization, and the
// sum of two tensors of codes.

#include <sparq/base/config.hpp>
#include <sparq/kernel/epilogue/stage.hpp>
#include <sparq/numeric/checks.hpp>
#include <sparq/numeric/look_up_table.hpp>
#include <sparq/numeric/thresholds.hpp>
#include <sparq/simd/byte_table.hpp>
#include <sparq/simd/split_s64.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/tensor/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

struct threshold_lanes {
  const std::int32_t* values;  // of lane 0
  std::size_t channels;
  std::size_t count;
  s32_lanes flips;

  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    const s32_lanes sums = v ^ flips;
    s32_lanes code(static_cast<std::int32_t>(count));
    for (std::size_t p = 0; p < count; ++p)
      code = code - ones_where_greater(s32_lanes::load(values + p * channels, at.count), sums);
    return code;
  }
};

}  // namespace machine

/// The code of each sum by comparison with its channel's thresholds (numeric/thresholds.hpp).
/// The caller keeps the table.
struct thresholds {
  const threshold_table* table;

  explicit thresholds(const threshold_table& kept) : table(&kept) {}
  explicit thresholds(const threshold_table&&) = delete;
  status check(std::size_t, std::size_t n) const {
    if (table->channels != n)
      return status::failure("thresholds: " + std::to_string(table->channels) + " channels for " + std::to_string(n) +
                             " output channels");
    return table->validate();
  }
  SPARQ_INLINE machine::threshold_lanes for_channels(const lane_position& at) const {
    return {table->values.data() + at.channel, table->channels, static_cast<std::size_t>(table->count),
            s32_lanes::load(table->flips.data() + at.channel, at.count)};
  }
};

/// The table's entry for each code (numeric/look_up_table.hpp), behind a requantization to In.
/// The caller keeps the table.
template <activation_numeric In, activation_numeric Out>
struct look_up : machine::unchecked_stage {
  const look_up_table<In, Out>* table;

  explicit look_up(const look_up_table<In, Out>& kept) : table(&kept) {}
  explicit look_up(const look_up_table<In, Out>&&) = delete;
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position&) const {
    std::uint8_t bytes[16];
    store_saturated(reinterpret_cast<typename In::code*>(bytes), v, 16);
    look_up_bytes(reinterpret_cast<const std::uint8_t*>(table->entries), bytes, bytes, 16);
    return load_codes(reinterpret_cast<const typename Out::code*>(bytes), 16);
  }
};

/// (v * v_factor + other * other_factor) >> shift, in 64 bits, saturated: NEMO's and PULP-NN's sum of two tensors of
/// codes with their steps brought together. `other`: m x n codes, Y itself allowed.
template <class T>
struct add_scaled {
  matrix_view<const T> other;
  std::int32_t v_factor;      ///< not -2^31, as two such products of int32 do not fit into 64 bits
  std::int32_t other_factor;  ///< the same
  std::int32_t shift;  ///< [0, 63]

  add_scaled(matrix_view<const T> matrix, std::int32_t of_v, std::int32_t of_other, std::int32_t right)
      : other(matrix), v_factor(of_v), other_factor(of_other), shift(right) {}
  status check(std::size_t m, std::size_t n) const {
    if (status s = detail::check_scaled_sum("add_scaled", v_factor, other_factor, shift, 63); !s.ok()) return s;
    return machine::check_elements("add_scaled", other, m, n);
  }
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    const s32_lanes codes = load_codes(other.row(at.row) + at.channel, at.count);
    const split_s64 sum =
        multiply(v, split_s64(std::int64_t{v_factor})) + multiply(codes, split_s64(std::int64_t{other_factor}));
    return saturate_to_s32(sum >> split_s64(std::int64_t{shift}));
  }
};
template <class T>
add_scaled(matrix_view<T>, std::int32_t, std::int32_t, std::int32_t) -> add_scaled<std::remove_const_t<T>>;

SPARQ_ABI_END
}  // namespace sparq
