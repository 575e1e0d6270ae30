// SPDX-License-Identifier: MIT
#pragma once
// The cube of mixed precisions: every type of X, of W and of Y of up to 8 bits, in every kind of layer, against loops
// over plain numbers. One template for each kind of layer makes all of its combinations.

#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/requantize.hpp>
#include <sparq/tensor/narrow_view.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace cube {

using sparq::window_parameters;

/// Extents of one layer, of odd sizes: maps and kernels that are not square, four different pads, strides 1 to 3.
struct layer {
  std::size_t images, image_height, image_width, channels, outputs;  // outputs: channels of Y
  window_parameters window;

  std::size_t output_height() const { return window.output_height(image_height); }
  std::size_t output_width() const { return window.output_width(image_width); }
  std::size_t inputs() const { return images * image_height * image_width * channels; }
  std::size_t output_pixels() const { return images * output_height() * output_width(); }
};

/// Convolutions; those of 1x1 kernels without padding are pointwise.
const std::vector<layer>& layers();

/// Plain loops: sums of (x - zero_point) * w in the order of Y. W is OHWI.
std::vector<std::int32_t> convolution_sums(const layer& l, const std::vector<std::int32_t>& x, std::int32_t zero_point,
                                           const std::vector<std::int32_t>& w);
/// W is HWO, with outputs / channels kernels for each channel of X.
std::vector<std::int32_t> depthwise_sums(const layer& l, const std::vector<std::int32_t>& x, std::int32_t zero_point,
                                         const std::vector<std::int32_t>& w);
/// Of every channel's window: the sum of all taps with `padding` beyond the border, and the largest inside.
std::vector<std::int32_t> window_sums(const layer& l, const std::vector<std::int32_t>& x, std::int32_t padding);
std::vector<std::int32_t> window_maxima(const layer& l, const std::vector<std::int32_t>& x);

/// (kappa * sum + lambda) >> shift for each channel, spread around the codes from `low` to `high` for sums like these.
std::vector<sparq::floor_shift::parameters> random_requantization(const std::vector<std::int32_t>& sums,
                                                                  std::size_t channels, std::int32_t low,
                                                                  std::int32_t high,
                                                                  sparq_test::random_source& random);
/// The definition in 64 bits, clamped to the codes from `low` to `high`.
std::vector<std::int32_t> requantized(const std::vector<std::int32_t>& sums,
                                      const std::vector<sparq::floor_shift::parameters>& per_channel,
                                      std::int32_t zero_point, std::int32_t low, std::int32_t high);

std::vector<std::int32_t> random_codes(std::size_t count, std::int32_t low, std::int32_t high,
                                       sparq_test::random_source& random);

/// Rows of codes of N in memory as the views of N want them: bytes, or bytes that elements share.
template <sparq::integer_numeric N>
class stored_codes {
 public:
  using code = typename N::code;

  stored_codes(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), bytes_(rows * row_bytes()) {}
  stored_codes(std::size_t rows, std::size_t columns, const std::vector<std::int32_t>& values)
      : stored_codes(rows, columns) {
    for (std::size_t i = 0; i < values.size(); ++i)
      sparq::store_code<N>(bytes_.data() + i / columns_ * row_bytes(), i % columns_, static_cast<code>(values[i]));
  }
  std::vector<std::int32_t> values() const {
    std::vector<std::int32_t> result;
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t c = 0; c < columns_; ++c)
        result.push_back(sparq::load_code<N>(bytes_.data() + r * row_bytes(), c));
    return result;
  }
  auto matrix() const { return matrix_over<const N>(bytes_.data(), rows_, columns_); }
  auto matrix() { return matrix_over<N>(bytes_.data(), rows_, columns_); }
  auto image(std::size_t images, std::size_t height, std::size_t width) const {
    return image_over<const N>(bytes_.data(), images, height, width, columns_);
  }
  auto image(std::size_t images, std::size_t height, std::size_t width) {
    return image_over<N>(bytes_.data(), images, height, width, columns_);
  }

 private:
  std::size_t row_bytes() const { return sparq::storage_bytes<N>(columns_); }
  template <class Element, class Byte, class... Extents>
  static auto matrix_over(Byte* bytes, Extents... extents) {
    using element = std::conditional_t<std::is_const_v<Element>, const code, code>;
    if constexpr (N::bits == 8)
      return sparq::matrix_view<element>(reinterpret_cast<element*>(bytes), extents...);
    else
      return sparq::narrow_matrix_view<Element>(bytes, extents...);
  }
  template <class Element, class Byte, class... Extents>
  static auto image_over(Byte* bytes, Extents... extents) {
    using element = std::conditional_t<std::is_const_v<Element>, const code, code>;
    if constexpr (N::bits == 8)
      return sparq::image_view<element>(reinterpret_cast<element*>(bytes), extents...);
    else
      return sparq::narrow_image_view<Element>(bytes, extents...);
  }

  std::size_t rows_, columns_;
  std::vector<std::byte> bytes_;
};

template <sparq::integer_numeric N>
std::vector<std::int32_t> random_codes(std::size_t count, sparq_test::random_source& random) {
  std::vector<std::int32_t> codes = random_codes(count, N::min_code, N::max_code, random);
  for (auto& code : codes)
    if (!sparq::is_code<N>(code)) code = N::max_code;
  return codes;
}

/// f.operator()<N>() for every type of activations.
template <class F>
void for_each_activation(F&& f) {
  f.template operator()<sparq::u8>();
  f.template operator()<sparq::s8>();
  f.template operator()<sparq::u4>();
  f.template operator()<sparq::s4>();
  f.template operator()<sparq::u2>();
  f.template operator()<sparq::s2>();
  f.template operator()<sparq::u1>();
}

/// "u4 x s2 -> u8" for messages.
template <class X, class W, class Y>
std::string combination() {
  return std::string(X::name) + " x " + std::string(W::name) + " -> " + std::string(Y::name);
}

}  // namespace cube
