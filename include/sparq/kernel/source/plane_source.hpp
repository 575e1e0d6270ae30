// SPDX-License-Identifier: MIT
#pragma once
// X of a convolution over planes, for the columns loop: pixels of Y are the rows, and a tap of a channel is an offset
// into the channel's plane. What lies together in the plane is packed from where it lies; only blocks that meet the
// border or the end of a row of pixels are put together first.
//
//   plane of 5 x 4 pixels, 3x3 taps, padding 1; a block of 8 rows of X, tap (0, 0):
//
//   pixel of Y      5  6  7  8 | 9 10 11 12        one copy at offset -6,
//   reads           p  0  1  2 | p  4  5  6        then p over the lanes that lie in the padding

#include <sparq/base/config.hpp>
#include <sparq/simd/copy.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/planes.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The patches of planes as columns of X. k runs through [tap row][tap column][channel], as for images.
template <class X>
class plane_patches {
 public:
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr bool packs_runs = false;  // k's of a run may belong to two taps
  static constexpr const char* access = "from planes, ";

  /// @pre window.check(x.image_height, x.image_width) is ok
  plane_patches(plane_view<const X> x, const window_parameters& window, X padding)
      : x_(x), w_(window), padding_(padding) {
    if (w_.is_pointwise()) {  // rows of pixels follow each other: one long row
      x_.image_width *= x_.image_height;
      x_.image_height = x_.image_width == 0 ? 0 : 1;
    }
    out_width_ = w_.output_width(x_.image_width);
    out_height_ = w_.output_height(x_.image_height);
    if (x_.images != 0 && x_.channels != 0) end_ = x_.plane(x_.images - 1, x_.channels - 1) + x_.plane_pixels();
  }

  std::size_t k() const { return w_.taps() * x_.channels; }

  /// Packs rows [m, m + rows) in blocks: x[block][k][row].
  template <class Atom>
  void pack(std::size_t m, std::size_t rows, std::size_t, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    for (std::size_t r = 0; r < rows; r += block, to += k() * block)
      pack_block<Atom>(m + r, (std::min)(block, rows - r), to);
  }

  /// Row m as consecutive k's.
  void row(std::size_t m, X* to) const noexcept {
    const place at = place_of(m);
    for (std::size_t ky = 0; ky < w_.kernel_height; ++ky)
      for (std::size_t kx = 0; kx < w_.kernel_width; ++kx) {
        const std::size_t y = at.y * w_.stride_y + ky * w_.dilation_y - w_.pad_top;
        const std::size_t x = at.x * w_.stride_x + kx * w_.dilation_x - w_.pad_left;
        const bool inside = y < x_.image_height && x < x_.image_width;
        for (std::size_t c = 0; c < x_.channels; ++c) *to++ = inside ? x_(at.image, y, x, c) : padding_;
      }
  }

 private:
  /// Of a pixel of Y.
  struct place {
    std::size_t image, y, x;
  };
  place place_of(std::size_t m) const {
    return {m / (out_height_ * out_width_), m / out_width_ % out_height_, m % out_width_};
  }
  /// Lanes of a block that read neighbouring pixels, or pixels a stride apart, and some between them that are padding.
  struct run {
    std::size_t lane, count;
    std::size_t from;  // offset of the first lane's pixel, from the first plane on
  };

  /// 16 bytes of lanes: where they would begin if all of them followed the run, and the bytes that belong to it.
  struct chunk {
    alignas(16) std::uint8_t mask[16];
    std::ptrdiff_t from;  // may lie before the plane
    std::size_t lane;
  };
  static constexpr std::size_t chunk_lanes = 16 / sizeof(X);

  /// What a block of rows reads for one tap: the same in every channel.
  template <std::size_t Block>
  struct tap_plan {
    run runs[Block];
    std::size_t run_count = 0;
    std::size_t padded[Block];  // lanes
    std::size_t padded_count = 0;
    chunk chunks[Block + Block / chunk_lanes + 1];  // of all runs
    std::size_t chunk_count = 0;
    std::ptrdiff_t first_read = 0, last_read = 0;  // of all chunks, and behind them
    alignas(16) X start[Block];  // padding where it belongs, else 0
  };

  template <std::size_t Block>
  void plan_tap(place at, std::size_t count, std::size_t ky, std::size_t kx, tap_plan<Block>& plan) const {
    plan.run_count = plan.padded_count = 0;
    for (std::size_t lane = 0; lane < count;) {
      const std::size_t in_row = (std::min)(count - lane, out_width_ - at.x);
      // unsigned: what is left of or above the image wraps to a huge coordinate
      const std::size_t y = at.y * w_.stride_y + ky * w_.dilation_y - w_.pad_top;
      std::size_t first = in_row, end = in_row;  // lanes of this row of pixels that lie inside
      if (y < x_.image_height) {
        const std::size_t shift = kx * w_.dilation_x;
        const auto least = [&](std::size_t padded) {  // the first output column that reads padded column or beyond
          return padded <= shift ? 0 : ceil_div(padded - shift, w_.stride_x);
        };
        first = (std::clamp)(least(w_.pad_left), at.x, at.x + in_row) - at.x;
        end = (std::clamp)(least(w_.pad_left + x_.image_width), at.x, at.x + in_row) - at.x;
      }
      for (std::size_t i = 0; i < first; ++i) plan.padded[plan.padded_count++] = lane + i;
      if (first < end)
        add_run(plan, lane + first, end - first,
                at.image * x_.image_stride + y * x_.image_width + (at.x + first) * w_.stride_x + kx * w_.dilation_x -
                    w_.pad_left);
      for (std::size_t i = (std::max)(first, end); i < in_row; ++i) plan.padded[plan.padded_count++] = lane + i;
      lane += in_row;
      at.x = 0;
      if (++at.y == out_height_) {
        at.y = 0;
        ++at.image;
      }
    }
  }
  template <std::size_t Block>
  void add_run(tap_plan<Block>& plan, std::size_t lane, std::size_t count, std::size_t from) const {
    if (plan.run_count != 0) {
      run& last = plan.runs[plan.run_count - 1];
      if (from == last.from + (lane - last.lane) * w_.stride_x) {  // goes on where the last one would be now
        last.count = lane + count - last.lane;
        return;
      }
    }
    plan.runs[plan.run_count++] = {lane, count, from};
  }

  template <class Atom>
  void pack_block(std::size_t m, std::size_t count, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    tap_plan<block> plan;
    const place at = place_of(m);
    for (std::size_t ky = 0; ky < w_.kernel_height; ++ky)
      for (std::size_t kx = 0; kx < w_.kernel_width; ++kx, to += x_.channels * block) {
        plan_tap(at, count, ky, kx, plan);
        if (plan.run_count == 1 && plan.padded_count == 0 && w_.stride_x == 1)
          Atom::pack_columns(x_.data + plan.runs[0].from, x_.channel_stride, x_.channels, count, to);
        else
          pack_assembled<Atom>(plan, count, to);
      }
  }

  /// Masks of all runs.
  template <std::size_t Block>
  void plan_chunks(tap_plan<Block>& plan) const {
    std::memset(static_cast<void*>(plan.start), 0, sizeof plan.start);
    std::uint8_t of_row[Block] = {};  // lanes that do not belong to a run
    for (std::size_t p = 0; p < plan.padded_count; ++p) {
      plan.start[plan.padded[p]] = padding_;
      of_row[plan.padded[p]] = 1;
    }
    plan.chunk_count = 0;
    plan.first_read = plan.last_read = 0;
    for (std::size_t r = 0; r < plan.run_count; ++r) {
      const run& at = plan.runs[r];
      for (std::size_t lane = at.lane / chunk_lanes * chunk_lanes; lane < at.lane + at.count; lane += chunk_lanes) {
        chunk& c = plan.chunks[plan.chunk_count++];
        c.lane = lane;
        c.from = static_cast<std::ptrdiff_t>(at.from + lane * w_.stride_x) -
                 static_cast<std::ptrdiff_t>(at.lane * w_.stride_x);
        plan.first_read = (std::min)(plan.first_read, c.from);
        plan.last_read = (std::max)(plan.last_read, c.from + static_cast<std::ptrdiff_t>(chunk_lanes * w_.stride_x));
        for (std::size_t i = 0; i < 16; ++i) {
          const std::size_t l = lane + i / sizeof(X);
          c.mask[i] = l >= at.lane && l < at.lane + at.count && of_row[l] == 0 ? 0xff : 0;
        }
      }
    }
  }

  /// Channels are put together a few at a time, in rows of a block's lanes.
  template <class Atom, std::size_t Block>
  void pack_assembled(tap_plan<Block>& plan, std::size_t count, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t some = 16;
    alignas(64) X rows[some][Block];
    if (w_.stride_x <= 2) plan_chunks(plan);
    for (std::size_t c = 0; c < x_.channels; c += some) {
      const std::size_t channels = (std::min)(some, x_.channels - c);
      for (std::size_t i = 0; i < channels; ++i) {
        const X* plane = x_.data + (c + i) * x_.channel_stride;
        if (w_.stride_x == 1)
          assemble<1>(plan, plane, rows[i]);
        else if (w_.stride_x == 2)
          assemble<2>(plan, plane, rows[i]);
        else
          assemble_lanes(plan, plane, rows[i]);
      }
      Atom::pack_columns(&rows[0][0], Block, channels, count, to + c * Block);
    }
  }
  template <std::size_t Stride, std::size_t Block>
  void assemble(const tap_plan<Block>& plan, const X* plane, X* row) const noexcept {
    if (plane - x_.data + plan.first_read < 0 || plan.last_read > end_ - plane) return assemble_lanes(plan, plane, row);
    std::memcpy(static_cast<void*>(row), plan.start, sizeof plan.start);
    for (std::size_t i = 0; i < plan.chunk_count; ++i)
      add_chosen<Stride>(plane + plan.chunks[i].from, plan.chunks[i].mask,
                         reinterpret_cast<std::uint8_t(&)[16]>(row[plan.chunks[i].lane]));
  }
  /// Lane by lane: where a chunk would read beyond the planes.
  template <std::size_t Block>
  void assemble_lanes(const tap_plan<Block>& plan, const X* plane, X* row) const noexcept {
    for (std::size_t r = 0; r < plan.run_count; ++r)
      for (std::size_t i = 0; i < plan.runs[r].count; ++i)
        row[plan.runs[r].lane + i] = plane[plan.runs[r].from + i * w_.stride_x];
    for (std::size_t p = 0; p < plan.padded_count; ++p) row[plan.padded[p]] = padding_;
  }

  plane_view<const X> x_;
  window_parameters w_;
  X padding_;
  std::size_t out_width_ = 0, out_height_ = 0;
  const X* end_ = nullptr;  // of all planes
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
