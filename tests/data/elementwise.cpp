// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"
#include "tests/data/ops.hpp"

#include <sparq/format/dense.hpp>
#include <sparq/op/elementwise.hpp>
#include <sparq/op/softmax.hpp>
#include <sparq/tensor/encode.hpp>

#include <algorithm>

namespace cases {
namespace {

template <class Y>
void softmax_as(const neutral_case& one, const neutral_case::operand& x, verdict& v) {
  const std::size_t columns = x.array.shape.back(), rows = x.array.size() / columns;
  const sparq::softmax_parameters p{static_cast<std::int32_t>(one.integer("input_multiplier")),
                                    static_cast<std::int32_t>(one.integer("input_left_shift")),
                                    static_cast<std::int32_t>(one.integer("diff_min"))};
  std::vector<Y> y(x.array.size());
  sparq::softmax(sparq::matrix_view<const std::int8_t>(x.array.as<std::int8_t>().data(), rows, columns),
                 sparq::matrix_view<Y>(y.data(), rows, columns), p);
  v.compare("output", y);
}

}  // namespace

void softmax(const neutral_case& one, verdict& v) {
  const auto x = one.input("input");
  if (!holds(x, sparq::element_type::s8)) return v.leave_out("activations of int16");
  if (holds(one.expected("output"), sparq::element_type::s16))
    softmax_as<std::int16_t>(one, x, v);
  else
    softmax_as<std::int8_t>(one, x, v);
}

void softmax_f32(const neutral_case& one, verdict& v) {
  const auto x = one.input("x");
  const auto rank = static_cast<std::int64_t>(x.array.shape.size());
  const std::int64_t axis = one.integer("axis", -1);
  if (axis != -1 && axis != rank - 1) return v.leave_out("softmax over an axis that is not the last");
  const std::size_t columns = x.array.shape.back(), rows = x.array.size() / columns;
  std::vector<float> y(x.array.size());
  sparq::softmax(sparq::matrix_view<const float>(x.array.as<float>().data(), rows, columns),
                 sparq::matrix_view<float>(y.data(), rows, columns));
  v.compare("y", y);
}

namespace {

/// The elements of an array that share a scale: runs of `run` elements, the scale of run i is scales[i % count].
struct scale_runs {
  std::size_t run = 1;
  std::size_t count = 1;
  std::vector<sparq::activation_quantization> scales;

  scale_runs(const neutral_case& one, const extents& shape) {
    const auto scale = values_of<float>(one, "scale");
    count = scale.size();
    const auto zero_points = channel_values<std::int32_t>(one, "zero_point", count);
    for (std::size_t i = 0; i < count; ++i) scales.push_back({scale[i], zero_points[i]});
    const std::int64_t axis = one.integer("axis", 1);
    const auto rank = static_cast<std::int64_t>(shape.size());
    const std::int64_t first = count == 1 ? 0 : (axis < 0 ? axis + rank : axis) + 1;
    for (std::int64_t i = first; i < rank; ++i) run *= shape[static_cast<std::size_t>(i)];
  }
  template <class From, class To, class F>
  void apply(const std::vector<From>& from, std::vector<To>& to, const F& convert) const {
    for (std::size_t first = 0, i = 0; first < from.size(); first += run, ++i)
      convert(std::span<const From>(from).subspan(first, run), scales[i % count],
              std::span<To>(to).subspan(first, run));
  }
};

template <class T>
void quantize_as(const neutral_case& one, verdict& v) {
  const auto x = values_of<float>(one, "x");
  std::vector<T> y(x.size());
  scale_runs(one, one.input("x").array.shape).apply(x, y, [](auto values, auto scale, auto codes) {
    sparq::quantize(values, scale, codes);
  });
  v.compare("y", y);
}

template <class T>
void dequantize_as(const neutral_case& one, verdict& v) {
  const auto x = values_of<T>(one, "x");
  std::vector<float> y(x.size());
  scale_runs(one, one.input("x").array.shape).apply(x, y, [](auto codes, auto scale, auto values) {
    sparq::dequantize(codes, scale, values);
  });
  v.compare("y", y);
}

}  // namespace

void quantize_linear(const neutral_case& one, verdict& v) {
  const auto y = one.expected("y");
  if (!y.logical_type.empty()) return v.leave_out("quantization to " + y.logical_type);
  if (one.integer("block_size", 0) != 0) return v.leave_out("scales by blocks");
  if (holds(y, sparq::element_type::u8)) return quantize_as<std::uint8_t>(one, v);
  if (holds(y, sparq::element_type::s8)) return quantize_as<std::int8_t>(one, v);
  v.leave_out("quantization to 16 bits");
}

// Codes of 2 and 4 bits come as one byte each, and what they mean does not depend on their width.
void dequantize_linear(const neutral_case& one, verdict& v) {
  const auto x = one.input("x");
  if (one.integer("block_size", 0) != 0) return v.leave_out("scales by blocks");
  if (holds(x, sparq::element_type::u8)) return dequantize_as<std::uint8_t>(one, v);
  if (holds(x, sparq::element_type::s8)) return dequantize_as<std::int8_t>(one, v);
  v.leave_out("codes of 16 bits");
}

void dynamic_quantize_linear(const neutral_case& one, verdict& v) {
  const auto x = values_of<float>(one, "x");
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  const auto q = sparq::choose_activation_quantization<sparq::u8>(*low, *high);
  std::vector<std::uint8_t> y(x.size());
  sparq::quantize(std::span<const float>(x), q, std::span(y));
  v.compare("y", y);
  v.compare("y_scale", std::vector<float>{q.scale});
  v.compare("y_zero_point", std::vector<std::int32_t>{q.zero_point});
}

void cast(const neutral_case& one, verdict& v) {
  const auto x = one.input("x"), y = one.expected("y");
  if (!holds(y, sparq::element_type::f32)) return v.leave_out("casts to types of 2 and 4 bits");
  if (x.logical_type == "int4") {
    const auto codes = x.array.to<std::int8_t>();
    return v.compare("y", sparq::decode(sparq::encode_codes<sparq::dense, sparq::s4, sparq::per_tensor>(
                              codes, {1, codes.size()}, {1.0F})));
  }
  if (holds(x, sparq::element_type::f16)) return v.compare("y", x.array.to<float>(), "read from .npy");
  v.leave_out("casts from " + (x.logical_type.empty() ? std::string(sparq::name(x.array.type)) : x.logical_type));
}

}  // namespace cases
