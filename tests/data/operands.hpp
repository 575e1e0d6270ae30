// SPDX-License-Identifier: MIT
#pragma once
// From the roles and attributes of a case to what the library takes.

#include "tests/data/products.hpp"
#include "tests/data/verdict.hpp"

#include <sparq/numeric/requantize.hpp>
#include <sparq/tensor/image.hpp>
#include <sparq/tensor/window_parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace cases {

using extents = std::vector<std::size_t>;

inline bool holds(const neutral_case::operand& o, sparq::element_type type) { return o.array.type == type; }
inline bool holds_int16(const neutral_case& one) {
  return one.has_input("input") && holds(one.input("input"), sparq::element_type::s16);
}

template <class T>
std::vector<T> values_of(const neutral_case& one, const std::string& role) {
  return one.input(role).array.to<T>();
}
/// The only element of an input, or the fallback if there is no such input.
template <class T>
T value_of(const neutral_case& one, const std::string& role, T fallback) {
  return one.has_input(role) ? values_of<T>(one, role).at(0) : fallback;
}
/// One value for each channel: as given, the same for all, or 0 where there is no such input.
template <class T>
std::vector<T> channel_values(const neutral_case& one, const std::string& role, std::size_t n) {
  if (!one.has_input(role)) return std::vector<T>(n);
  const std::vector<T> given = values_of<T>(one, role);
  return given.size() == 1 ? std::vector<T>(n, given[0]) : given;
}

/// The clamp of a float layer; what is not given has no bound.
float_outputs float_outputs_of(const neutral_case& one, std::size_t n);
/// Bias, requantization and clamp of an int8 layer of TFLite.
tflite_codes tflite_codes_of(const neutral_case& one, std::size_t n);
/// Compares a layer whose activations have 16 bits.
void compare_s16(const neutral_case& one, verdict& v);
/// kappa, lambda, shift and clamp.
floor_shift_codes floor_shift_codes_of(const neutral_case& one);

/// The window of the attributes `stride`, `pad` and `dilation`.
sparq::window_parameters window_of(const neutral_case& one, std::size_t kernel_height, std::size_t kernel_width);
/// The window of ONNX's attributes for an image of these extents.
sparq::window_parameters onnx_window_of(const neutral_case& one, std::size_t kernel_height, std::size_t kernel_width,
                                        std::size_t image_height, std::size_t image_width);

/// The elements in another order of the axes: axis i of the result is axis `order[i]` of the array.
template <class T>
std::vector<T> transposed(const std::vector<T>& values, const extents& shape, const std::vector<std::size_t>& order) {
  extents stride(shape.size(), 1);
  for (std::size_t axis = shape.size() - 1; axis-- > 0;) stride[axis] = stride[axis + 1] * shape[axis + 1];
  std::vector<T> result;
  result.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::size_t rest = i, from = 0;
    for (std::size_t axis = order.size(); axis-- > 0;) {
      from += rest % shape[order[axis]] * stride[order[axis]];
      rest /= shape[order[axis]];
    }
    result.push_back(values[from]);
  }
  return result;
}
/// NCHW to NHWC, OIHW to OHWI.
template <class T>
std::vector<T> channels_last(const std::vector<T>& values, const extents& shape) {
  return transposed(values, shape, {0, 2, 3, 1});
}
inline extents channels_last(const extents& shape) { return {shape[0], shape[2], shape[3], shape[1]}; }
/// NHWC, of the shape given, to NCHW.
template <class T>
std::vector<T> channels_first(const std::vector<T>& values, const extents& shape) {
  return transposed(values, shape, {0, 3, 1, 2});
}

/// A matrix product or convolution of the inputs `input` and `weights`.
template <class X, class W>
product<X, W> product_of(const neutral_case& one, X padding = {}) {
  const auto x = one.input("input"), weights = one.input("weights");
  product<X, W> p{x.array.shape, x.array.to<X>(), weights.array.to<W>(), weights.array.shape[0], {}, 1, padding};
  if (p.is_convolution()) {
    p.window = window_of(one, weights.array.shape[1], weights.array.shape[2]);
    p.groups = static_cast<std::size_t>(one.integer("groups"));
  }
  return p;
}

/// Where weights of 4 bits are published as bytes, those are the bytes of our codec and of a dense tensor.
void check_packed_weights(const neutral_case& one, verdict& v);

}  // namespace cases
