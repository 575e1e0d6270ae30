// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"
#include "tests/data/ops.hpp"
#include "tests/data/scale_shift.hpp"

namespace cases {

void fully_connected(const neutral_case& one, verdict& v) {
  if (holds_int16(one)) return compare_s16(one, v);
  check_packed_weights(one, v);
  const std::size_t n = one.input("weights").array.shape[0];
  if (holds(one.input("input"), sparq::element_type::f32)) {
    for (const auto& got : f32_in_every_format(product_of<float, float>(one), float_outputs_of(one, n)))
      v.compare("output", got.values, got.format);
    return;
  }
  if (one.integer("weight_zero_point") != 0) return v.leave_out("weights with a zero point in a layer with bias");
  const auto p = product_of<std::int8_t, std::int8_t>(one);
  const auto zero_point = static_cast<std::int32_t>(one.integer("input_zero_point"));
  const tflite_codes out = tflite_codes_of(one, n);
  for (const auto& got : tflite_s8(p, zero_point, out)) v.compare("output", got.codes, "s8 " + got.format);
  if (one.has_tag("int4-weights")) v.compare("output", tflite_s4(p, zero_point, out), "s4");
}

void fully_connected_scale_shift(const neutral_case& one, verdict& v) {
  compare_scale_shift(one, v);
}

namespace {

/// The matrices of a stack that broadcasts: matrix i of a result of shape [..., m, n] comes from matrix `at(i)`.
class stack {
 public:
  stack(extents shape, const extents& result) : shape_(std::move(shape)), result_(result.begin(), result.end() - 2) {
    shape_.insert(shape_.begin(), result.size() - shape_.size(), 1);
  }
  std::size_t rows() const { return shape_.end()[-2]; }
  std::size_t columns() const { return shape_.end()[-1]; }
  std::size_t matrices() const {
    std::size_t count = 1;
    for (const std::size_t extent : result_) count *= extent;
    return count;
  }
  /// Matrix i as the result counts, transposed if asked.
  template <class T>
  std::vector<T> matrix(const std::vector<T>& values, std::size_t i, bool transpose) const {
    std::size_t at = 0, step = 1;
    for (std::size_t axis = result_.size(); axis-- > 0; i /= result_[axis]) {
      at += i % result_[axis] % shape_[axis] * step;
      step *= shape_[axis];
    }
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(at * rows() * columns());
    const std::vector<T> one(first, first + static_cast<std::ptrdiff_t>(rows() * columns()));
    return transpose ? transposed(one, {rows(), columns()}, {1, 0}) : one;
  }

 private:
  extents shape_;
  extents result_;
};

template <class T>
void append(std::vector<T>& all, const std::vector<T>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

void batch_matmul(const neutral_case& one, verdict& v) {
  const auto lhs = one.input("lhs"), rhs = one.input("rhs");
  if (!holds(lhs, sparq::element_type::s8)) return v.leave_out("activations of int16");
  const extents shape = one.expected("output").array.shape;
  const stack x(lhs.array.shape, shape), w(rhs.array.shape, shape);
  const bool transpose_x = one.flag("transpose_lhs"), transpose_w = !one.flag("transpose_rhs");
  const std::size_t m = shape.end()[-2], n = shape.end()[-1];
  std::vector<std::int8_t> got;
  for (std::size_t i = 0; i < x.matrices(); ++i) {
    product<std::int8_t, std::int8_t> p;
    p.x = x.matrix(lhs.array.to<std::int8_t>(), i, transpose_x);
    p.x_shape = {m, p.x.size() / m};
    p.weights = w.matrix(rhs.array.to<std::int8_t>(), i, transpose_w);
    p.n = n;
    append(got,
           tflite_two_zero_points(p, static_cast<std::int32_t>(one.integer("lhs_zero_point")),
                                  static_cast<std::int32_t>(one.integer("rhs_zero_point")), tflite_codes_of(one, n)));
  }
  v.compare("output", got);
}

void qlinear_matmul(const neutral_case& one, verdict& v) {
  const auto a = one.input("a"), b = one.input("b");
  for (const char* role : {"a", "b"})
    if (!holds(one.input(role), sparq::element_type::s8)) return v.leave_out("qlinear_matmul of uint8");
  for (const char* role : {"a_scale", "b_scale", "y_scale"})
    if (!holds(one.input(role), sparq::element_type::f32) || one.input(role).array.size() != 1)
      return v.leave_out("qlinear_matmul with scales that are not one float32");
  const extents shape = one.expected("y").array.shape;
  const stack x(a.array.shape, shape), w(b.array.shape, shape);
  const std::size_t m = shape.end()[-2], n = shape.end()[-1];
  output_codes<sparq::fp32_nearest_even::parameters> out;
  out.per_channel.assign(
      n, sparq::fp32_nearest_even::from_scales(value_of(one, "a_scale", 1.0F), value_of(one, "b_scale", 1.0F),
                                               value_of(one, "y_scale", 1.0F)));
  out.zero_point = value_of<std::int32_t>(one, "y_zero_point", 0);
  out.low = -128;
  out.high = 127;
  std::vector<std::int8_t> got;
  for (std::size_t i = 0; i < x.matrices(); ++i) {
    product<std::int8_t, std::int8_t> p;
    p.x = x.matrix(a.array.to<std::int8_t>(), i, false);
    p.x_shape = {m, x.columns()};
    p.weights = w.matrix(b.array.to<std::int8_t>(), i, true);
    p.n = n;
    append(got, onnx_two_zero_points(p, value_of<std::int32_t>(one, "a_zero_point", 0),
                                     value_of<std::int32_t>(one, "b_zero_point", 0), out));
  }
  v.compare("y", got);
}

void gemm_f32(const neutral_case& one, verdict& v) {
  const extents shape = one.expected("y").array.shape;
  const stack a(one.input("a").array.shape, shape), b(one.input("b").array.shape, shape);
  const std::size_t m = shape[0], n = shape[1];
  product<float, float> p;
  p.x = a.matrix(values_of<float>(one, "a"), 0, one.integer("transA", 0) != 0);
  p.x_shape = {m, p.x.size() / m};
  p.weights = b.matrix(values_of<float>(one, "b"), 0, one.integer("transB", 0) == 0);
  p.n = n;
  std::vector<float> added(m * n);
  if (one.has_input("c")) {
    const auto beta = static_cast<float>(one.real("beta", 1.0));
    const std::vector<float> c = values_of<float>(one, "c");
    extents c_shape = one.input("c").array.shape;
    c_shape.insert(c_shape.begin(), 2 - c_shape.size(), 1);
    for (std::size_t i = 0; i < m * n; ++i) added[i] = beta * c[i / n % c_shape[0] * c_shape[1] + i % n % c_shape[1]];
  }
  v.compare("y", f32_scaled_and_added(p, static_cast<float>(one.real("alpha", 1.0)), added));
}

void matmul_f32(const neutral_case& one, verdict& v) {
  const extents shape = one.expected("y").array.shape;
  const auto a = one.input("a"), b = one.input("b");
  if (a.array.shape.size() < 2 || b.array.shape.size() < 2) return v.leave_out("matmul of vectors");
  const stack x(a.array.shape, shape), w(b.array.shape, shape);
  std::vector<format_floats> got;
  for (std::size_t i = 0; i < x.matrices(); ++i) {
    product<float, float> p;
    p.x = x.matrix(a.array.to<float>(), i, false);
    p.x_shape = {x.rows(), x.columns()};
    p.weights = w.matrix(b.array.to<float>(), i, true);
    p.n = w.columns();
    float_outputs out;
    out.bias.resize(p.n);
    const auto more = f32_in_every_format(p, out);
    got.resize(more.size());
    for (std::size_t f = 0; f < more.size(); ++f) {
      got[f].format = more[f].format;
      append(got[f].values, more[f].values);
    }
  }
  for (const auto& format : got) v.compare("y", format.values, format.format);
}

}  // namespace cases
