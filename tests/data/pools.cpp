// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"
#include "tests/data/ops.hpp"

#include <sparq/op/pool.hpp>

namespace cases {
namespace {

/// An image and the pools over it.
template <class T>
class pooled_image {
 public:
  pooled_image(extents x_shape, std::vector<T> x, const sparq::window_parameters& window)
      : shape_(std::move(x_shape)), x_(std::move(x)), window_(window) {}

  std::vector<T> largest(sparq::value_range<T> range = {}) const {
    std::vector<T> y(outputs());
    sparq::max_pool2d(image(), out(y), window_, range, sparq::serial);
    return y;
  }
  std::vector<T> average(sparq::value_range<T> range, sparq::average_padding<T> padding) const {
    std::vector<T> y(outputs());
    sparq::average_pool2d(image(), out(y), window_, range, padding, sparq::serial);
    return y;
  }
  extents y_shape() const {
    return {shape_[0], window_.output_height(shape_[1]), window_.output_width(shape_[2]), shape_[3]};
  }

 private:
  std::size_t outputs() const { return y_shape()[0] * y_shape()[1] * y_shape()[2] * y_shape()[3]; }
  sparq::image_view<const T> image() const { return {x_.data(), shape_[0], shape_[1], shape_[2], shape_[3]}; }
  sparq::image_view<T> out(std::vector<T>& y) const {
    return {y.data(), y_shape()[0], y_shape()[1], y_shape()[2], y_shape()[3]};
  }

  extents shape_;
  std::vector<T> x_;
  sparq::window_parameters window_;
};

/// `input` with the window of the attributes; without a value where X is not s8.
std::optional<pooled_image<std::int8_t>> nhwc(const neutral_case& one, verdict& v) {
  const auto x = one.input("input");
  if (!holds(x, sparq::element_type::s8)) {
    v.leave_out("activations of int16");
    return {};
  }
  const auto kernel = one.integers("window");
  return pooled_image(x.array.shape, x.array.to<std::int8_t>(),
                      window_of(one, static_cast<std::size_t>(kernel[0]), static_cast<std::size_t>(kernel[1])));
}
sparq::value_range<std::int8_t> range_of(const neutral_case& one) {
  return {static_cast<std::int8_t>(one.integer("activation_min")),
          static_cast<std::int8_t>(one.integer("activation_max"))};
}

/// `x` with the window of ONNX's attributes.
template <class T>
pooled_image<T> nchw(const neutral_case& one) {
  const extents shape = one.input("x").array.shape;
  const auto kernel = one.integers("kernel_shape");
  return {channels_last(shape), channels_last(values_of<T>(one, "x"), shape),
          onnx_window_of(one, static_cast<std::size_t>(kernel[0]), static_cast<std::size_t>(kernel[1]), shape[2],
                         shape[3])};
}

template <class T>
void largest_nchw(const neutral_case& one, verdict& v) {
  const auto image = nchw<T>(one);
  v.compare("y", channels_first(image.largest(), image.y_shape()));
}

/// Whether an ONNX pool is of a kind that leaves the extents of the output open.
bool leaves_out_ceil_mode(const neutral_case& one, verdict& v) {
  if (one.input("x").array.shape.size() != 4)
    v.leave_out("pools of one or three extents");
  else if (one.integer("ceil_mode", 0) != 0)
    v.leave_out("pools with ceil_mode");
  return !v.left_out().empty();
}

}  // namespace

void max_pool2d(const neutral_case& one, verdict& v) {
  if (const auto image = nhwc(one, v)) v.compare("output", image->largest(range_of(one)));
}

void average_pool2d(const neutral_case& one, verdict& v) {
  const auto image = nhwc(one, v);
  if (image) v.compare("output", image->average(range_of(one), {one.flag("count_include_pad"), 0}));
}

void max_pool2d_nchw(const neutral_case& one, verdict& v) {
  if (leaves_out_ceil_mode(one, v)) return;
  if (holds(one.input("x"), sparq::element_type::u8))
    largest_nchw<std::uint8_t>(one, v);
  else
    largest_nchw<float>(one, v);
}

void average_pool2d_nchw(const neutral_case& one, verdict& v) {
  if (leaves_out_ceil_mode(one, v)) return;
  const auto image = nchw<float>(one);
  v.compare("y", channels_first(image.average({}, {one.integer("count_include_pad", 0) != 0, 0.0F}), image.y_shape()));
}

}  // namespace cases
