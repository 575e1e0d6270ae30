// SPDX-License-Identifier: MIT
#pragma once
// What happens to accumulators before they are stored: a list of stages, fixed at compile time, applied to sixteen
// neighbouring channels of one row at a time. The value starts as s32, s64 or f32, and stages may change its type. The
// element type of Y decides how it is stored: bytes saturate, and floats become integers only by a stage that rounds.

#include <sparq/base/config.hpp>
#include <sparq/kernel/epilogue/code_stages.hpp>
#include <sparq/kernel/epilogue/requantize_stage.hpp>
#include <sparq/kernel/epilogue/row_sum_stages.hpp>
#include <sparq/kernel/epilogue/stage.hpp>
#include <sparq/simd/byte_codes.hpp>
#include <sparq/simd/transpose.hpp>
#include <sparq/simd/vec.hpp>
#include <sparq/simd/vec_s64.hpp>
#include <sparq/tensor/matrix.hpp>
#include <sparq/tensor/planes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// A stage that depends on channels, for sixteen of them; any other stage as it is.
template <class Stage>
SPARQ_INLINE decltype(auto) for_channels(const Stage& stage, const lane_position& at) {
  if constexpr (requires { stage.for_channels(at); })
    return stage.for_channels(at);
  else
    return (stage);
}

template <class... Bound>
struct bound_epilogue {
  std::tuple<Bound...> stages;

  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, const lane_position& at) const {
    return apply<0, sizeof...(Bound)>(v, at);
  }

  /// Whether the last stage leaves its end to byte_codes: its bounds are the same for all lanes.
  static constexpr bool ends_in_byte_codes = [] {
    if constexpr (sizeof...(Bound) > 0)
      return requires(const std::tuple_element_t<sizeof...(Bound) - 1, std::tuple<Bound...>>& last, s32_lanes v) {
        last.rounded(v);
      };
    else
      return false;
  }();
  const auto& last() const { return std::get<sizeof...(Bound) - 1>(stages); }
  /// All but that end.
  template <class Lanes>
  SPARQ_INLINE s32_lanes rounded(const Lanes& v, const lane_position& at) const {
    return last().rounded(apply<0, sizeof...(Bound) - 1>(v, at));
  }

 private:
  template <std::size_t I, std::size_t End, class Lanes>
  SPARQ_INLINE auto apply(const Lanes& v, const lane_position& at) const {
    if constexpr (I == End)
      return v;
    else
      return apply<I + 1, End>(std::get<I>(stages)(v, at), at);
  }
};

}  // namespace machine

// ---- the list -------------------------------------------------------------------------------------------------------

/// Stages in the order of their application; empty: accumulators are stored as they are. Write `epilogue
/// stages{bias(b), relu()};` with braces: in parentheses, stages of plain names would declare a function.
template <class... Stages>
struct epilogue {
  static constexpr bool takes_rows = (machine::takes_rows_v<Stages> && ...);
  std::tuple<Stages...> stages;

  epilogue() = default;
  explicit epilogue(Stages... all_stages)
    requires(sizeof...(Stages) > 0)
      : stages(all_stages...) {}

  /// The first stage whose parameters do not match an m x n output, or ok.
  status check(std::size_t m, std::size_t n) const {
    status result;
    std::apply([&](const auto&... stage) { static_cast<void>(((result = stage.check(m, n), result.ok()) && ...)); },
               stages);
    return result;
  }

  /// The stages for sixteen channels: a callable (lanes, lane_position) that has loaded what depends on them.
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    return std::apply(
        [&](const auto&... stage) {
          return machine::bound_epilogue<decltype(machine::for_channels(stage, at))...>{
              {machine::for_channels(stage, at)...}};
        },
        stages);
  }
  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, const lane_position& at) const {
    return for_channels(at)(v, at);
  }
};
template <class... Stages>
epilogue(Stages...) -> epilogue<Stages...>;

namespace machine {

/// The lanes that are stored as elements of Y.
template <class Y>
using stored_lanes =
    vec<std::conditional_t<std::is_same_v<Y, float> || std::is_same_v<Y, std::int64_t>, Y, std::int32_t>>;

/// What the last stage yields; explains what is missing when Y holds something else, and goes on with lanes that fit.
template <class Y, class T>
SPARQ_INLINE decltype(auto) lanes_for(const vec<T>& v) {
  constexpr bool yields_them = std::is_same_v<vec<T>, stored_lanes<Y>>;
  static_assert(
      yields_them,
      "sparq: the epilogue's last stage does not yield what Y holds; end with requantize, round_to_integer or "
      "a scale");
  if constexpr (yields_them)
    return (v);  // the same lanes: g++ copies those of 64 bits through memory
  else
    return stored_lanes<Y>(0);
}

/// Whether the last of the stages yields codes of Y, so that nothing has to saturate.
template <class Y, class Epilogue>
inline constexpr bool ends_in_codes_v = false;
template <class Y, class First, class... Stages>
  requires(sizeof...(Stages) > 0)
inline constexpr bool ends_in_codes_v<Y, epilogue<First, Stages...>> = ends_in_codes_v<Y, epilogue<Stages...>>;
template <class Y, integer_numeric Out, class Parameters>
inline constexpr bool ends_in_codes_v<Y, epilogue<requantize<Out, Parameters>>> = std::is_same_v<Y, typename Out::code>;

/// - `IsCode`: every lane is within the range of Y
template <bool IsCode = false, class Y, class T>
SPARQ_INLINE void store_lanes(Y* to, const vec<T>& v, std::size_t count) {
  if constexpr (sizeof(Y) == 1)
    store_saturated<IsCode>(to, lanes_for<Y>(v), count);
  else if constexpr (sizeof(Y) == 2)
    store_saturated_s16(to, lanes_for<Y>(v), count);
  else
    lanes_for<Y>(v).store(to, count);
}

/// The stages of sixteen channels for a Y of bytes: lanes in two steps, of which byte_codes takes the second for four
/// times sixteen at once.
template <class Y, class Epilogue, class Bound>
struct byte_stages {
  const Bound& bound;
  static constexpr bool in_two_steps = [] {
    if constexpr (ends_in_codes_v<Y, Epilogue>)
      return Bound::ends_in_byte_codes;
    else
      return false;
  }();

  SPARQ_INLINE byte_codes<Y> codes() const {
    if constexpr (in_two_steps)
      return {bound.last().code_of_zero, bound.last().lowest_code};
    else
      return {0, (std::numeric_limits<Y>::min)()};
  }
  template <class Lanes>
  SPARQ_INLINE s32_lanes operator()(const Lanes& v, const lane_position& at) const {
    if constexpr (in_two_steps)
      return bound.rounded(v, at);
    else
      return lanes_for<Y>(bound(v, at));
  }
};

/// Bytes of whole parts of sixteen channels, four times sixteen sums at once: rows of one part, or of two. Returns the
/// rows that are done; up to three are left.
/// - `left_out`: what is added to the sums of all rows; `at`: the first channel, 16 * Parts follow
template <std::size_t Parts, class Y, class Epilogue>
SPARQ_INLINE std::size_t store_byte_rows(const std::int32_t* tile, std::size_t ldt, std::size_t rows,
                                         std::int32_t factor, Y* to, std::ptrdiff_t distance, lane_position at,
                                         const Epilogue& stages) {
  at.count = 16;
  lane_position at_last = at;
  at_last.channel += 16 * (Parts - 1);
  const auto& first = for_channels(stages, at);
  const auto& last = for_channels(stages, at_last);
  const byte_stages<Y, Epilogue, std::remove_cvref_t<decltype(first)>> stage_of_first{first}, stage_of_last{last};
  const byte_codes<Y> codes = stage_of_first.codes();
  const std::size_t first_row = at.row;
  const auto run = [&](const auto&... left_out) SPARQ_LAMBDA_INLINE {
    std::size_t r = 0;
    for (; r + 4 / Parts <= rows; r += 4 / Parts, to += static_cast<std::ptrdiff_t>(4 / Parts) * distance) {
      s32_lanes four[4];
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
        const s32_lanes v = (s32_lanes::load(tile + (r + i / Parts) * ldt + i % Parts * 16) + ... + left_out[i % Parts]);
        at.row = at_last.row = first_row + r + i / Parts;
        four[i] = i % Parts == 0 ? stage_of_first(v, at) : stage_of_last(v, at_last);
      }
      codes.template store_rows<Parts>(four, to, distance);
    }
    return r;
  };
  if (factor == 0) return run();
  const s32_lanes left_out[2] = {s32_lanes(factor) * s32_lanes::load(at.weight_sums + at.channel),
                                 s32_lanes(factor) * s32_lanes::load(at.weight_sums + at_last.channel)};
  return run(left_out);
}

/// Up to sixteen channels, row by row.
/// - `readable`: sums that may be read of every row, at.count at least
template <class Acc, class Out, class Epilogue>
SPARQ_INLINE void store_each_row(const Acc* tile, std::size_t ldt, std::size_t readable, std::size_t rows,
                                 std::int32_t factor, const Out& y, lane_position at, const Epilogue& stages) {
  const std::size_t first_row = at.row;
  const auto& bound = for_channels(stages, at);
  [[maybe_unused]] s32_lanes left_out(0);
  if constexpr (std::is_same_v<Acc, std::int32_t>)
    if (factor != 0) left_out = s32_lanes(factor) * s32_lanes::load(at.weight_sums + at.channel, at.count);
  const auto next_sums = [&](std::size_t r) SPARQ_LAMBDA_INLINE {
    at.row = first_row + r;
    vec<Acc> v = vec<Acc>::load(tile, readable);
    if constexpr (std::is_same_v<Acc, std::int32_t>) v = v + left_out;
    tile += ldt;
    return bound(v, at);
  };
  if constexpr (requires { y.store_lanes(at, next_sums(0)); }) {
    for (std::size_t r = 0; r < rows; ++r) y.store_lanes(at, next_sums(r));
  } else {  // addresses are computed once: the bytes that are stored might be the view, for all the compiler knows
    auto* to = &y(first_row, at.channel);
    using element = std::remove_reference_t<decltype(*to)>;
    const std::ptrdiff_t distance = rows > 1 ? &y(first_row + 1, at.channel) - to : 0;
    for (std::size_t r = 0; r < rows; ++r, to += distance)
      store_lanes<ends_in_codes_v<element, Epilogue>>(to, next_sums(r), at.count);
  }
}

/// Whether rows of a Y are bytes in memory.
template <class Out>
inline constexpr bool has_rows_of_bytes_v = [] {
  if constexpr (requires(const Out& y) { &y(0, 0); })
    return sizeof(*&std::declval<const Out&>()(0, 0)) == 1;
  else
    return false;
}();

}  // namespace machine

/// Applies an epilogue to a tile of accumulators and stores it.
/// - `tile`: rows x channels, `ldt` elements apart; what lies between two rows is read where sixteen lanes end there
/// - `factor`: what the atom leaves to be added, times the sums of the weights
/// - `y`: where (row, channel) is stored, 16 channels beside each other; or what stores lanes itself
template <class Acc, class Out, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const Out& y, lane_position at, const Epilogue& stages) noexcept {
  at.lanes_are_rows = false;
  const std::size_t first_channel = at.channel, first_row = at.row;
  for (std::size_t c = 0, end = 0; c < channels; c = end) {
    end = (std::min)(c + 16, channels);
    at.channel = first_channel + c;
    std::size_t done = 0;  // rows of the channels up to end
    if constexpr (std::is_same_v<Acc, std::int32_t> && machine::has_rows_of_bytes_v<Out>) {
      auto* to = &y(first_row, at.channel);
      const std::ptrdiff_t distance = rows > 1 ? &y(first_row + 1, at.channel) - to : 0;
      at.row = first_row;
      if (channels - c >= 32 && rows >= 2) {
        end = c + 32;
        done = machine::store_byte_rows<2>(tile + c, ldt, rows, factor, to, distance, at, stages);
      } else if (channels - c >= 16 && rows >= 4) {
        done = machine::store_byte_rows<1>(tile + c, ldt, rows, factor, to, distance, at, stages);
      }
    }
    at.row = first_row + done;
    for (std::size_t part = c; done < rows && part < end; part += 16) {
      at.channel = first_channel + part;
      at.count = (std::min)(end - part, std::size_t{16});
      machine::store_each_row(tile + done * ldt + part, ldt, ldt >= part + 16 ? 16 : at.count, rows - done, factor, y,
                              at, stages);
    }
  }
}

namespace machine {

/// Sixteen rows of sixteen channels on their way to a Y that is stored by columns.
template <class Y>
struct square_tile {
  alignas(64) mutable Y elements[16][16];
  std::size_t first_row = 0;
  std::size_t first_channel = 0;

  Y& operator()(std::size_t row, std::size_t channel) const {
    return elements[row - first_row][channel - first_channel];
  }
};

}  // namespace machine

/// The same for a Y stored by columns, whose row `first_row` is the row of `at`. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_columns(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                   const k_major_view<Y>& y, std::size_t first_row, lane_position at, const Epilogue& stages) noexcept {
  machine::square_tile<Y> square;
  square.first_channel = at.channel;
  for (std::size_t r = 0; r < rows; r += 16, at.row += 16) {
    const std::size_t height = rows - r < 16 ? rows - r : 16;
    square.first_row = at.row;
    store_tile<Acc, machine::square_tile<Y>, Epilogue>(tile + r * ldt, ldt, height, channels, factor, square, at,
                                                       stages);
    machine::store_transposed(&square.elements[0][0], height, channels, y.column(at.channel) + first_row + r, y.stride);
  }
}
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const k_major_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  store_columns(tile, ldt, rows, channels, factor, y, at.row, at, stages);
}

/// Sums that lie by columns, and stages that take rows: nothing is transposed.
/// - `tile`: channels x round_up(rows, 16), `ldt` elements apart
template <class Acc, class Y, class Epilogue>
void store_column_sums(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                       const k_major_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  const std::size_t first_row = at.row;
  at.lanes_are_rows = true;
  for (std::size_t c = 0; c < channels; ++c, ++at.channel, tile += ldt) {
    const auto& bound = machine::for_channels(stages, at);
    [[maybe_unused]] s32_lanes left_out(0);
    if constexpr (std::is_same_v<Acc, std::int32_t>)
      if (factor != 0) left_out = s32_lanes(factor) * at.of_channels(at.weight_sums);
    Y* to = y.column(at.channel) + first_row;
    std::size_t r = 0;
    if constexpr (sizeof(Y) == 1 && std::is_same_v<Acc, std::int32_t>) {
      const machine::byte_stages<Y, Epilogue, std::remove_cvref_t<decltype(bound)>> stage{bound};
      const machine::byte_codes<Y> codes = stage.codes();
      for (at.count = 16; r + 64 <= rows; r += 64) {
        s32_lanes four[4];
        SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
          at.row = first_row + r + 16 * i;
          four[i] = stage(s32_lanes::load(tile + r + 16 * i) + left_out, at);
        }
        codes.store(four, to + r);
      }
    }
    for (; r < rows; r += 16) {
      at.row = first_row + r;
      at.count = rows - r < 16 ? rows - r : 16;
      vec<Acc> v = vec<Acc>::load(tile + r);
      if constexpr (std::is_same_v<Acc, std::int32_t>) v = v + left_out;
      machine::store_lanes<machine::ends_in_codes_v<Y, Epilogue>>(to + r, bound(v, at), at.count);
    }
  }
}

/// The same for bytes that are stored by rows: words of four channels are turned, which are a quarter of the sums.
/// - `tile`: round_up(channels, 16) x round_up(rows, 16)
template <class Acc, class Y, class Epilogue>
  requires(sizeof(Y) == 1)
void store_column_sums(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                       const matrix_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  const std::size_t first_row = at.row, first_channel = at.channel, last_channel = at.channel + channels - 1;
  at.lanes_are_rows = true;
  for (std::size_t c = 0; c < channels; c += 16, tile += 16 * ldt)
    for (std::size_t r = 0; r < rows; r += 16) {
      at.row = first_row + r;
      at.count = rows - r < 16 ? rows - r : 16;
      alignas(64) std::uint32_t words[4 * 16];
      for (std::size_t q = 0; q < 4; ++q) {
        s32_lanes quad[4];
        machine::byte_codes<Y> codes(0, 0);
        SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
          at.channel = (std::min)(first_channel + c + 4 * q + i, last_channel);
          const auto& bound = machine::for_channels(stages, at);
          const machine::byte_stages<Y, Epilogue, std::remove_cvref_t<decltype(bound)>> stage{bound};
          codes = stage.codes();  // of all channels
          vec<Acc> v = vec<Acc>::load(tile + (4 * q + i) * ldt + r);
          if constexpr (std::is_same_v<Acc, std::int32_t>)
            if (factor != 0) v = v + s32_lanes(factor) * at.of_channels(at.weight_sums);
          quad[i] = stage(v, at);
        }
        codes.store_words(quad, words + 16 * q);
      }
      machine::store_word_rows(words, at.count, (std::min)(channels - c, std::size_t{16}),
                               &y(at.row, first_channel + c), y.stride);
    }
}

/// Rows of sums -> planes. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const plane_matrix_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  for (std::size_t r = 0; r < rows;) {
    const std::size_t image = at.row / y.image_rows;
    const std::size_t count = (std::min)(rows - r, (image + 1) * y.image_rows - at.row);
    const k_major_view<Y> of_image(y.data + image * y.image_stride, y.image_rows, y.columns, y.stride);
    store_columns(tile + r * ldt, ldt, count, channels, factor, of_image, at.row - image * y.image_rows, at, stages);
    r += count;
    at.row += count;
  }
}

SPARQ_ABI_END
}  // namespace sparq
