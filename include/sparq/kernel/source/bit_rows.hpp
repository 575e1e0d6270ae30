// SPDX-License-Identifier: MIT
#pragma once
// X of -1 and 1 as the popcount atoms read it: rows of bits, where they lie or gathered from the patches of an image.
// Weights in bit_panel_shape read X so; for all others its codes are unpacked (narrow_rows.hpp).

#include <sparq/kernel/source/patch_source.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/simd/bits.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/narrow_view.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class View>
inline constexpr bool holds_bits_v = false;
template <class N>
inline constexpr bool holds_bits_v<narrow_matrix_view<N>> = std::is_same_v<std::remove_const_t<N>, binary>;
template <class N>
inline constexpr bool holds_bits_v<narrow_image_view<N>> = std::is_same_v<std::remove_const_t<N>, binary>;

/// X and W meet bit by bit.
template <class View, class Packed>
inline constexpr bool counts_bits_v = holds_bits_v<View> && Packed::shape_type::group_k == 32;

}  // namespace machine

/// The columns [first, first + count) of a view as rows of bits. @pre first % 8 == 0
inline strided_rows<eight_bits> bit_rows_of(const narrow_matrix_view<const binary>& x, std::size_t first,
                                            std::size_t count) {
  return {matrix_view<const eight_bits>(reinterpret_cast<const eight_bits*>(x.data) + first / 8, x.rows,
                                        (count + 7) / 8, x.stride)};
}

/// The patches of an image as rows of bits; see patch_rows.
struct bit_patches {
  using element = eight_bits;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "gathered from patches, ";

  narrow_image_view<const binary> x;
  window_parameters window;
  std::size_t first_channel = 0;  // of the group
  std::size_t channels = 0;       // of the group
  std::size_t output_height = 0;
  std::size_t output_width = 0;
  bool padding = false;  // the bit of the code that X is beyond its border

  class cursor {
   public:
    cursor(const bit_patches& source, std::size_t m) : s_(source), walk_(source, m, source.x.channels % 8 == 0) {}
    const eight_bits* next(eight_bits* buffer) {
      bit_writer out(buffer);
      walk_.gather(
          [&](std::size_t image, std::size_t in_y, std::size_t in_x, std::size_t first, std::size_t count) {
            out.copy(reinterpret_cast<const eight_bits*>(s_.x.pixel(image, in_y, in_x)), first, count);
          },
          [&](std::size_t count) { out.fill(s_.padding, count); });
      walk_.step();
      return buffer;
    }

   private:
    const bit_patches& s_;
    machine::patch_walk<bit_patches> walk_;
  };

  cursor start(std::size_t m) const { return cursor(*this, m); }
};

SPARQ_ABI_END
}  // namespace sparq
