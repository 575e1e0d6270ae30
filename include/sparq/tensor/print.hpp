// SPDX-License-Identifier: MIT
#pragma once
// Tensors as text, for people: one line that says what a tensor is, and a picture of where its weights are. The only
// header that needs fmt.
//
//   fmt::print("{}\n", w)    csr, s8 per_channel, 64 x 576, density 0.250, 46856 bytes, 10.17 bits per weight

#include <sparq/base/error.hpp>
#include <sparq/tensor/basic_any_tensor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sparq {

namespace detail {

/// What a packed tensor views, for whichever loop it is packed.
template <class View>
concept view_of_packed = requires(const View w) {
  requires numeric<typename View::numeric_type>;
  requires quantization_granularity<typename View::granularity>;
  w.format_name();
  w.bytes();
};

/// "n x k, density, bytes, bits per weight"; all weights count, the pruned ones too.
inline std::string extent_summary(weight_shape shape, double density, std::size_t bytes) {
  const std::string bits =
      shape.size() == 0 ? ""
                        : fmt::format(", {:.2f} bits per weight",
                                      8.0 * static_cast<double>(bytes) / static_cast<double>(shape.size()));
  return fmt::format("{}, density {:.3f}, {} bytes{}", to_string(shape), density, bytes, bits);
}

}  // namespace detail

/// One line: format, numeric type, granularity of the scales, n x k, density, bytes, bits per weight.
template <format F, numeric N, quantization_granularity G>
std::string summary(const tensor_view<F, N, G>& w) {
  return fmt::format("{}, {} {}, {}", F::name(), N::name, G::name,
                     detail::extent_summary(w.shape(), w.density(), w.bytes()));
}
template <format F, numeric N, quantization_granularity G>
std::string summary(const tensor<F, N, G>& w) { return summary(w.view()); }
template <class Variant>
std::string summary(const basic_any_tensor<Variant>& w) {
  return w.visit([](const auto& t) { return summary(t); });
}

/// The same of a packed tensor; bytes are those of its block.
template <detail::view_of_packed View>
std::string summary(const View& w) {
  return fmt::format("packed {}, {} {}, {}", w.format_name(), View::numeric_type::name, View::granularity::name,
                     detail::extent_summary(w.shape(), w.density(), w.bytes()));
}
template <class View>
std::string summary(const packed<View>& w) { return summary(w.view()); }
template <class Variant>
std::string summary(const basic_any_packed<Variant>& w) {
  return w.visit([](const auto& p) { return summary(p); });
}

/// How much of a panel a picture shows.
struct picture_limits {
  std::size_t channels = 32;
  std::size_t k = 96;
};

/// A panel of any format: a line for each channel, a character for each k, '#' stored, '.' pruned. What the limits cut
/// off is counted at the ends of the lines and below them.
/// Errors: there is no such panel.
template <format F, numeric N, quantization_granularity G>
expected<std::string> try_panel_picture(const tensor_view<F, N, G>& w, std::size_t panel = 0,
                                        picture_limits limits = {}) {
  if (panel >= w.index.panels())
    return status::failure(F::name() + ": there is no panel " + std::to_string(panel) + " to draw; the tensor has " +
                           std::to_string(w.index.panels()));
  const channel_range range = w.index.panel(panel);
  const std::size_t shown_channels = (std::min)(range.count, limits.channels);
  const std::size_t shown_k = (std::min)(w.shape().k, limits.k);
  std::vector<std::string> lines(shown_channels, std::string(shown_k, '.'));
  w.index.for_each_slot(panel, [&](std::size_t, std::size_t channel, std::size_t k) {
    if (channel - range.first < shown_channels && k < shown_k) lines[channel - range.first][k] = '#';
  });
  const std::size_t label_width = std::to_string(range.first + range.count - 1).size();
  const std::string cut = shown_k < w.shape().k ? fmt::format(" +{}", w.shape().k - shown_k) : "";
  std::string picture = fmt::format("{}, panel {} of {}\n", F::name(), panel, w.index.panels());
  for (std::size_t i = 0; i < shown_channels; ++i)
    picture += fmt::format("n={:<{}} {}{}\n", range.first + i, label_width, lines[i], cut);
  if (shown_channels < range.count) picture += fmt::format("+{} channels\n", range.count - shown_channels);
  return picture;
}
template <format F, numeric N, quantization_granularity G>
expected<std::string> try_panel_picture(const tensor<F, N, G>& w, std::size_t panel = 0, picture_limits limits = {}) {
  return try_panel_picture(w.view(), panel, limits);
}
template <class Variant>
expected<std::string> try_panel_picture(const basic_any_tensor<Variant>& w, std::size_t panel = 0,
                                        picture_limits limits = {}) {
  return w.visit([&](const auto& t) { return try_panel_picture(t, panel, limits); });
}

/// Throwing twins.
template <format F, numeric N, quantization_granularity G>
std::string panel_picture(const tensor_view<F, N, G>& w, std::size_t panel = 0, picture_limits limits = {}) {
  return try_panel_picture(w, panel, limits).value();
}
template <format F, numeric N, quantization_granularity G>
std::string panel_picture(const tensor<F, N, G>& w, std::size_t panel = 0, picture_limits limits = {}) {
  return panel_picture(w.view(), panel, limits);
}
template <class Variant>
std::string panel_picture(const basic_any_tensor<Variant>& w, std::size_t panel = 0, picture_limits limits = {}) {
  return w.visit([&](const auto& t) { return panel_picture(t, panel, limits); });
}

namespace detail {

/// Writes a tensor's summary, with the width, fill and alignment of strings: {:>100}.
struct summary_formatter : fmt::formatter<std::string_view> {
  template <class T, class Context>
  auto format(const T& w, Context& context) const {
    const std::string text = summary(w);
    return fmt::formatter<std::string_view>::format(std::string_view(text), context);
  }
};

}  // namespace detail
}  // namespace sparq

/// @cond
template <class F, class N, class G>
struct fmt::formatter<sparq::tensor_view<F, N, G>> : sparq::detail::summary_formatter {};
template <class F, class N, class G>
struct fmt::formatter<sparq::tensor<F, N, G>> : sparq::detail::summary_formatter {};
template <sparq::detail::view_of_packed View>
struct fmt::formatter<View> : sparq::detail::summary_formatter {};
template <class View>
struct fmt::formatter<sparq::packed<View>> : sparq::detail::summary_formatter {};
template <class Variant>
struct fmt::formatter<sparq::basic_any_tensor<Variant>> : sparq::detail::summary_formatter {};
template <class Variant>
struct fmt::formatter<sparq::basic_any_packed<Variant>> : sparq::detail::summary_formatter {};
/// @endcond
