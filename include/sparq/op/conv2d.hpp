// SPDX-License-Identifier: MIT
#pragma once
// 2-D convolution with packed weights of any format: Y = epilogue(sum over taps and channels). It adds no kernel. A
// pixel of Y is a row of X whose k's run through the taps, [kernel_height][kernel_width][channels], and sparsity maps
// index those k's like any others. Rows are gathered a block at a time into the block's packed X, which is small and
// stays in the cache; a 1x1 kernel without padding reads X where it lies. Images are image_views (NHWC), or plane_views
// (NCHW) where the weights are packed for the columns loop; a tap is then an offset into a plane
// (kernel/source/plane_source.hpp).

#include <sparq/kernel/source/bit_rows.hpp>
#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/kernel/source/patch_source.hpp>
#include <sparq/kernel/source/plane_source.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/op/window.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/planes.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class T>
inline constexpr bool is_k_major_v<plane_view<T>> = true;
template <class T>
inline constexpr bool is_image_v<plane_view<T>> = true;
template <class T>
plane_view<const T> pixels_of(const plane_view<T>& x) { return x; }

/// Images lie behind each other as a whole, or all images of a channel do. @pre images, channels > 0
template <class T>
constexpr bool planes_stand_apart(const plane_view<T>& v) {
  const auto outer_clears = [&](std::size_t outer, std::size_t outer_count, std::size_t inner,
                                std::size_t inner_count) {
    return (inner_count == 1 || inner >= v.plane_pixels()) &&
           (outer_count == 1 || (outer >= v.plane_pixels() &&
                                 (inner_count == 1 || (outer - v.plane_pixels()) / (inner_count - 1) >= inner)));
  };
  return outer_clears(v.image_stride, v.images, v.channel_stride, v.channels) ||
         outer_clears(v.channel_stride, v.channels, v.image_stride, v.images);
}

template <image View>
status check_strides(const char* name, const View& v) {
  if constexpr (is_k_major_v<View>)
    if (v.images != 0 && v.channels != 0 && !planes_stand_apart(v))
      return status::failure("conv2d: planes of " + std::string(name) +
                             " overlap or lie in each other: " + std::to_string(v.plane_pixels()) +
                             " pixels, channels " + std::to_string(v.channel_stride) + " and images " +
                             std::to_string(v.image_stride) + " elements apart");
  return {};
}

template <class Packed>
status check_convolution(const image_extents& x, std::span<const Packed> groups, const image_extents& y,
                         const window_parameters& window) {
  const auto wrong = [](const std::string& what) { return status::failure("conv2d: " + what); };
  if (groups.empty()) return wrong("no weights; one packed tensor for each group is needed");
  if (status s = window.check(x.image_height, x.image_width); !s.ok()) return wrong(s.message());
  if (x.channels % groups.size() != 0)
    return wrong(std::to_string(x.channels) + " channels of X do not divide into " + std::to_string(groups.size()) +
                 " groups");
  const std::size_t k = window.kernel_height * window.kernel_width * (x.channels / groups.size());
  std::size_t n = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].shape().k != k)
      return wrong("group " + std::to_string(g) + " has weights of " + to_string(groups[g].shape()) +
                   "; k needs to be kernel_height x kernel_width x channels of a group = " + std::to_string(k));
    n += groups[g].shape().n;
  }
  return check_output("conv2d", y, output_extents(x, window, n));
}

/// Checks X, Y and the padding.
template <class X, class Packed, class Y>
status check_images(const X& x, std::span<const Packed> groups, const Y& y, const window_parameters& window,
                    element_of<X> padding) {
  if (status s = check_convolution<Packed>(x, groups, y, window); !s.ok()) return s;
  if (status s = check_strides("X", x); !s.ok()) return s;
  if (status s = check_strides("Y", y); !s.ok()) return s;
  using packed_type = std::remove_cvref_t<decltype(packed_of(groups[0]))>;
  if (counts_bits_v<X, packed_type> && padding != element_of<X>{1} && padding != static_cast<element_of<X>>(-1))
    return status::failure("conv2d: padding " + std::to_string(padding) +
                           " is no code of binary; pad with 1 or -1, or pack the weights in panel_shape<16, 4>");
  if (holds_up_to_127_v<X> && padding > element_of<X>{127})
    return status::failure("conv2d: padding " + std::to_string(padding) + " is greater than 127, X is not");
  return {};
}

/// The channels [first, first + channels) of every pixel as rows.
template <class T>
strided_rows<T> pixel_rows(const image_view<const T>& x, std::size_t first, std::size_t channels) {
  return {matrix_view<const T>(x.data + first, x.pixels(), channels, x.channels)};
}
template <class Code>
narrow_rows<Code> pixel_rows(const narrow_pixels<Code>& x, std::size_t first, std::size_t channels) {
  return {x.data, x.pixel_bytes, first, channels, x.unpack};
}
/// @pre first % 8 == 0
inline strided_rows<eight_bits> pixel_rows(const narrow_image_view<const binary>& x, std::size_t first,
                                           std::size_t channels) {
  return bit_rows_of(x.as_matrix(), first, channels);
}
template <class T>
plane_matrix_view<T> pixel_targets(const plane_view<T>& y, std::size_t first, std::size_t channels) {
  return y.channel_range(first, channels).as_matrix();
}

/// The same channels of every patch as rows. `padding` of bits: a code of binary
template <class X, class Image>
patch_rows<X, Image> patches_of(const Image& x, std::size_t first, std::size_t channels,
                                const window_parameters& window, X padding) {
  const image_extents y = output_extents(x, window, channels);
  return {x, window, first, channels, y.image_height, y.image_width, padding};
}
template <class X>
plane_patches<X> patches_of(const plane_view<const X>& x, std::size_t first, std::size_t channels,
                            const window_parameters& window, X padding) {
  return {x.channel_range(first, channels), window, padding};
}
template <class X>
bit_patches patches_of(const narrow_image_view<const binary>& x, std::size_t first, std::size_t channels,
                       const window_parameters& window, int padding) {
  const image_extents y = output_extents(x, window, channels);
  return {x, window, first, channels, y.image_height, y.image_width, padding < 0};
}

/// Whether pixels where they lie are the rows of X. Those of bits begin with a whole byte.
template <class Image>
bool pixels_are_rows(std::size_t first_channel, const window_parameters& window) {
  constexpr std::size_t per_byte = std::is_same_v<Image, narrow_image_view<const binary>> ? 8 : 1;
  return window.is_pointwise() && first_channel % per_byte == 0;
}

/// f(source, m) with the rows of X of a group of channels. Planes are a source of patches for any window.
template <class X, class Image, class F>
status with_rows(const Image& x, std::size_t first_channel, std::size_t channels, const window_parameters& window,
                 auto padding, const F& f) {
  const std::size_t m = output_extents(x, window, channels).pixels();
  if constexpr (!is_k_major_v<Image>)
    if (pixels_are_rows<Image>(first_channel, window)) return f(pixel_rows(x, first_channel, channels), m);
  return f(patches_of<X>(x, first_channel, channels, window, padding), m);
}

/// What the loop of these weights reads an image as.
template <class Packed, class View>
auto pixels_for(const View& x) {
  if constexpr (counts_bits_v<View, Packed>)
    return narrow_image_view<const binary>(x);
  else
    return pixels_of(x);
}

/// The source, with its elements as codes of at most 127 where the view says so.
template <class View, class Source>
auto codes_of(const Source& source) {
  if constexpr (holds_up_to_127_v<View>)
    return source_of_codes<Source, u8_up_to_127>{source};
  else
    return source;
}

/// f(source, m, weights, Y's channels, their first one) for every group in order, until one fails.
template <class X, class Packed, class Y, class F>
status for_each_group(const X& x, std::span<const Packed> groups, const Y& y, const window_parameters& window,
                      element_of<X> padding, F&& f) {
  using packed_type = std::remove_cvref_t<decltype(packed_of(groups[0]))>;
  const std::size_t channels = x.channels / groups.size();
  std::size_t first_channel = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const packed_type w = packed_of(groups[g]);
    const auto out = pixel_targets(y, first_channel, w.shape().n);
    status result = with_rows<x_element<packed_type, X>>(
        pixels_for<packed_type>(x), g * channels, channels, window, padding,
        [&](const auto& source, std::size_t m) { return f(codes_of<X>(source), m, w, out, first_channel); });
    if (!result.ok()) return result;
    first_channel += w.shape().n;
  }
  return {};
}

/// The channels of one group as an epilogue sees them: positions count through all groups.
template <class Epilogue>
struct group_epilogue {
  static constexpr bool takes_rows = Epilogue::takes_rows;

  const Epilogue* stages;
  std::size_t first_channel;
  const std::int32_t* weight_sums;

  template <class Bound>
  struct bound_stages {
    Bound stages;
    std::size_t first_channel;

    template <class Lanes>
    SPARQ_INLINE auto operator()(const Lanes& v, lane_position at) const {
      at.channel += first_channel;
      return stages(v, at);
    }
  };
  SPARQ_INLINE auto for_channels(lane_position at) const {
    at.channel += first_channel;
    at.weight_sums = weight_sums - first_channel;
    return bound_stages<decltype(stages->for_channels(at))>{stages->for_channels(at), first_channel};
  }
};

}  // namespace machine

/// Grouped convolution: group g multiplies its share of X's channels by `groups[g]`.
/// - `x`, `y`: of the types that gemm takes; must not overlap. Each is an image_view (NHWC), a narrow_image_view of 1
///   to 4 bits, or a plane_view (NCHW) where the weights are packed for the columns loop
/// - `groups[g]`: packed, n / groups x (kernel_height x kernel_width x channels / groups), k in that order (OHWI)
/// - `padding`: what X is beyond its border; the zero point of X, so that padded taps cancel. Where bits are counted it
///   is 1 or -1, as there is no bit for 0
/// - `stages`, `executor`, `scratch`: as in gemm; channels count through all groups. Row sums of patches, for weights
///   with a zero point, are a convolution with one channel of ones; groups cannot have them
/// Nothing is written when an error is returned.
/// Errors: no groups, extents that do not match, a window that does not fit, planes that overlap, padding that X cannot
/// hold, stages that do not match Y, row sums for several groups, a fixed workspace that is too small.
template <class Atoms = default_atoms, machine::image X, class Packed, machine::image Y, class... Stages,
          executor Executor>
status try_conv2d(X x, std::span<const Packed> groups, Y y, const window_parameters& window,
                  machine::element_of<X> padding, const epilogue<Stages...>& stages, Executor&& executor,
                  workspace& scratch) {
  using packed_type = std::remove_cvref_t<decltype(machine::packed_of(groups[0]))>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::x_element<packed_type, X>, packed_type, Atoms, Stages...>();
  if (status s = machine::check_images(x, groups, y, window, padding); !s.ok()) return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  if constexpr ((machine::gives_zero_a_value_v<Stages> || ... || false))
    if (groups.size() > 1)
      return status::failure("conv2d: row sums are of one group, there are " + std::to_string(groups.size()));
  const auto behind = machine::stages_behind<packed_type>(stages);
  const auto for_each_operation = [&](const auto& f) {
    return machine::for_each_group(
        x, groups, y, window, padding,
        [&](const auto& source, std::size_t m, const packed_type& w, const auto& out,
            std::size_t first_channel) -> status {
          const machine::group_epilogue<std::remove_const_t<decltype(behind)>> shifted{&behind, first_channel,
                                                                                       w.weight_sums().data()};
          return f(machine::operation<Atoms, std::remove_cvref_t<decltype(source)>, packed_type>(
              source, m, w, out, shifted, static_cast<std::size_t>(executor.concurrency()),
              machine::zero_point_inside<packed_type>(stages)));
        });
  };
  if (groups.size() > 1) {  // the scratch of all groups, before the first one writes anything
    std::size_t most = 0, least = 0;
    status counted = for_each_operation([&](const auto& one) -> status {
      most = (std::max)(most, one.workspace_bytes());
      least = (std::max)(least, one.least_workspace_bytes());
      return {};
    });
    if (!counted.ok()) return counted;
    if (auto bytes = scratch.try_reserve(most, least); !bytes) return bytes.error();
  }
  return for_each_operation([&](const auto& one) { return one.run(executor, scratch); });
}

/// Convolution without groups.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y, class... Stages, executor Executor>
status try_conv2d(X x, const W& w, Y y, const window_parameters& window, machine::element_of<X> padding,
                  const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  return try_conv2d<Atoms>(x, std::span<const std::remove_const_t<decltype(packed)>>(&packed, 1), y, window, padding,
                           stages, executor, scratch);
}

/// Throwing twin of try_conv2d, for one group or several.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y, class... Stages, executor Executor>
void conv2d(X x, const W& w, Y y, const window_parameters& window, machine::element_of<X> padding,
            const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  try_conv2d<Atoms>(x, w, y, window, padding, stages, executor, scratch).value();
}

/// The calling thread, no epilogue, for one group or several; what lies beyond the border is 0, as no zero point is
/// taken back.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y>
status try_conv2d(X x, const W& w, Y y, const window_parameters& window, workspace& scratch) {
  return try_conv2d<Atoms>(x, w, y, window, machine::element_of<X>{}, epilogue<>(), serial, scratch);
}
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y>
void conv2d(X x, const W& w, Y y, const window_parameters& window, workspace& scratch) {
  try_conv2d<Atoms>(x, w, y, window, scratch).value();
}

/// What conv2d does with x, the groups and y, whose data is not touched, and this many parts. It tells of the group
/// that needs the most scratch.
/// - `workspace_bytes` of the result: for each part the rows of X that the loop gathers and takes together
///   (`cached_rows`), which is what fits into 128 KiB (tables of bits: 256, looked up or widened weights: 384), or four
///   blocks of rows if those are larger
/// - `least_workspace_bytes`: what a fixed workspace must hold, for each part one row, or one block of the columns loop
/// @pre at least one group, extents as try_conv2d wants them
template <class Atoms = default_atoms, machine::image X, class Packed, machine::image Y>
explanation explain_conv2d(X x, std::span<const Packed> groups, Y y, const window_parameters& window,
                           std::size_t concurrency = 1) {
  using packed_type = std::remove_cvref_t<decltype(machine::packed_of(groups[0]))>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::x_element<packed_type, X>, packed_type, Atoms>();
  explanation most;
  machine::for_each_group(x, groups, y, window, machine::element_of<X>{},
                          [&](const auto& source, std::size_t m, const packed_type& w, const auto& out,
                              std::size_t first_channel) -> status {
                            const auto how =
                                machine::operation<Atoms, std::remove_cvref_t<decltype(source)>, packed_type>(
                                    source, m, w, out, concurrency)
                                    .explain();
                            const std::size_t least = (std::max)(most.least_workspace_bytes, how.least_workspace_bytes);
                            if (first_channel == 0 || how.workspace_bytes > most.workspace_bytes) most = how;
                            most.least_workspace_bytes = least;
                            return {};
                          })
      .value();
  return most;
}
/// The same without groups.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y>
explanation explain_conv2d(X x, const W& w, Y y, const window_parameters& window, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  return explain_conv2d<Atoms>(x, std::span<const std::remove_const_t<decltype(packed)>>(&packed, 1), y, window,
                               concurrency);
}

SPARQ_ABI_END
}  // namespace sparq
