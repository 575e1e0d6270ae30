// SPDX-License-Identifier: MIT
#pragma once
// Elements that share bytes as loops see them. Loops do not know the type of the elements: one function unpacks a row
// into bytes and another stores sixteen channels, so that no loop is compiled again for every such type.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/simd/narrow_codes.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/narrow_view.hpp>
#include <sparq/tensor/up_to_127.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// X whose rows are unpacked; see strided_rows. Code is std::int8_t or std::uint8_t.
template <class Code>
struct narrow_rows {
  using element = Code;
  using unpack_function = void (*)(const std::byte* row, std::size_t first, std::size_t count, Code* out) noexcept;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "unpacked, ";

  const std::byte* data = nullptr;
  std::size_t stride = 0;   // in bytes
  std::size_t first = 0;    // element of each row
  std::size_t columns = 0;  // elements of a row
  unpack_function unpack = nullptr;

  struct cursor {
    const narrow_rows& source;
    const std::byte* row;
    const Code* next(Code* buffer) {
      source.unpack(row, source.first, source.columns, buffer);
      row += source.stride;
      return buffer;
    }
  };
  cursor start(std::size_t m) const { return {*this, data + m * stride}; }
};

/// The columns [first, first + count) of a view as a source.
template <class N>
narrow_rows<typename N::code> narrow_rows_of(const narrow_matrix_view<const N>& x, std::size_t first,
                                             std::size_t count) {
  static_assert(unpack_slack <= 64, "sparq: a source may write 64 elements behind a row; make the step smaller");
  return {x.data, x.stride, first, count, &unpack_narrow<N>};
}

/// Y whose channels share bytes. `first_channel`: where the channels of a group start in a row of Y.
struct narrow_target {
  using store_function = void (*)(std::byte* row, std::size_t first, const vec<std::int32_t>& v,
                                  std::size_t count) noexcept;

  std::byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  // in bytes
  std::size_t first_channel = 0;
  std::size_t per_byte = 1;
  store_function store = nullptr;

  template <class T>
  SPARQ_INLINE void store_lanes(const lane_position& at, const vec<T>& v) const {
    static_assert(std::is_same_v<T, std::int32_t>,
                  "sparq: the epilogue's last stage does not yield what Y holds; end with requantize or "
                  "round_to_integer");
    store(data + at.row * stride, first_channel + at.channel, v, at.count);
  }
  /// Stores codes that come as bytes.
  template <class Code>
  void store_codes(std::size_t row, std::size_t channel, const Code* codes, std::size_t count) const {
    for (std::size_t c = 0; c < count; c += 16) {
      lane_position at{row, channel + c, count - c < 16 ? count - c : 16, nullptr};
      std::int32_t lanes[16] = {};
      for (std::size_t i = 0; i < at.count; ++i) lanes[i] = codes[c + i];
      store_lanes(at, vec<std::int32_t>::load(lanes));
    }
  }
};

template <class N>
narrow_target narrow_target_of(const narrow_matrix_view<N>& y, std::size_t first_channel, std::size_t channels) {
  return {y.data, y.rows, channels, y.stride, first_channel, detail::bit_field<N>::per_byte, &store_narrow<N>};
}

/// An image of X whose pixels are unpacked.
template <class Code>
struct narrow_pixels : image_extents {
  const std::byte* data = nullptr;
  std::size_t pixel_bytes = 0;
  std::size_t per_byte = 1;
  typename narrow_rows<Code>::unpack_function unpack = nullptr;

  const std::byte* pixel(std::size_t image, std::size_t y, std::size_t x) const {
    return data + pixel_index(image, y, x) * pixel_bytes;
  }
};

namespace machine {

/// The C++ type of one element of a view.
template <class View>
struct element_type {
  using type = std::remove_cvref_t<decltype(*View::data)>;
};
template <class View>
inline constexpr bool holds_up_to_127_v = std::is_same_v<std::remove_cvref_t<decltype(*View::data)>, byte_up_to_127>;
template <class View>
  requires holds_up_to_127_v<View>
struct element_type<View> {
  using type = std::uint8_t;
};
template <class View>
  requires requires { typename View::code; }
struct element_type<View> {
  using type = typename View::code;
};
template <class View>
using element_of = typename element_type<View>::type;

template <class View>
inline constexpr bool has_pixels_v = false;
template <class T>
inline constexpr bool has_pixels_v<image_view<T>> = true;
template <class N>
inline constexpr bool has_pixels_v<narrow_image_view<N>> = true;
/// An image whose channels lie beside each other.
template <class View>
concept pixel_image = has_pixels_v<View>;
template <class View>
inline constexpr bool is_image_v = has_pixels_v<View>;
/// Activations with two spatial extents, whatever their elements.
template <class View>
concept image = is_image_v<View>;

/// What loops over pixels read: without the type of narrow elements, which is not worth another loop.
template <class T>
image_view<const T> pixels_of(const image_view<T>& x) { return x; }
template <class T>
  requires std::is_same_v<std::remove_const_t<T>, byte_up_to_127>
image_view<const std::uint8_t> pixels_of(const image_view<T>& x) { return sparq::detail::as_bytes(x); }
template <class N>
narrow_pixels<typename N::code> pixels_of(const narrow_image_view<N>& x) {
  using numeric_type = std::remove_const_t<N>;
  return {x, x.data, x.pixel_bytes(), detail::bit_field<numeric_type>::per_byte, &unpack_narrow<numeric_type>};
}

/// The elements of neighbouring pixels lie beside each other.
template <class T>
bool pixels_adjoin(const image_view<const T>&) { return true; }
template <class Code>
bool pixels_adjoin(const narrow_pixels<Code>& x) { return x.channels % x.per_byte == 0; }

/// `count` elements from channel `first` of a pixel on. Up to unpack_slack elements behind them may be overwritten.
/// @pre they lie in one pixel, or pixels_adjoin(x)
template <class T>
SPARQ_INLINE void copy_pixels(const image_view<const T>& x, std::size_t image, std::size_t in_y, std::size_t in_x,
                              std::size_t first, std::size_t count, T* out) {
  copy_elements(x.pixel(image, in_y, in_x) + first, count, out);
}
template <class Code>
SPARQ_INLINE void copy_pixels(const narrow_pixels<Code>& x, std::size_t image, std::size_t in_y, std::size_t in_x,
                              std::size_t first, std::size_t count, Code* out) {
  x.unpack(x.pixel(image, in_y, in_x), first, count, out);
}

/// From one pixel to the next, in what pixel() points to.
template <class T>
std::size_t pixel_step(const image_view<const T>& x) { return x.channels; }
template <class Code>
std::size_t pixel_step(const narrow_pixels<Code>& x) { return x.pixel_bytes; }

/// Channels [first, first + count) of a pixel where they lie,
/// or unpacked into `buffer` of count + unpack_slack elements.
template <class T>
SPARQ_INLINE const T* channels_at(const image_view<const T>&, const T* pixel, std::size_t first, std::size_t, T*) {
  return pixel + first;
}
template <class Code>
SPARQ_INLINE const Code* channels_at(const narrow_pixels<Code>& x, const std::byte* pixel, std::size_t first,
                                     std::size_t count, Code* buffer) {
  x.unpack(pixel, first, count, buffer);
  return buffer;
}

/// Channels [first, first + channels) of every pixel of Y, as loops store them.
template <class T>
matrix_view<T> pixel_targets(const image_view<T>& y, std::size_t first, std::size_t channels) {
  return {y.data + first, y.pixels(), channels, y.channels};
}
template <class N>
narrow_target pixel_targets(const narrow_image_view<N>& y, std::size_t first, std::size_t channels) {
  return narrow_target_of(y.as_matrix(), first, channels);
}

/// Whether different threads may write different strips of channels: not where two strips share a byte of Y. That can
/// only be where panels start anywhere; strips of the columns loop and of bitmasks start at multiples of 16.
template <class Packed, class Y>
bool strips_stand_apart(const Packed&, const Y&) {
  return true;
}
template <class Packed>
bool strips_stand_apart(const Packed& w, const narrow_target& y) {
  if (y.first_channel % y.per_byte != 0) return false;
  if constexpr (requires { typename Packed::k_map; })
    for (const auto& panel : w.panels())
      if (panel.first_channel % y.per_byte != 0) return false;
  return true;
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
