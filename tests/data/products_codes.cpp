// SPDX-License-Identifier: MIT
#include "tests/data/multiply.hpp"

#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>

namespace cases {
namespace {

/// Takes back the zero point of W: subtracts values[row], which holds the sum of (x - its zero point) * (that of W).
struct subtract_from_row {
  std::span<const std::int32_t> values;

  static sparq::status check(std::size_t, std::size_t) { return {}; }
  sparq::s32_lanes operator()(const sparq::s32_lanes& v, const sparq::lane_position& at) const {
    return v - sparq::s32_lanes(values[at.row]);
  }
};

template <class Parameters>
auto requantization(const output_codes<Parameters>& out) {
  return sparq::requantize_to_codes<sparq::s8>(std::span(out.per_channel), out.zero_point, out.low, out.high);
}

template <class Format>
format_codes codes_in(const product<std::int8_t, std::int8_t>& p, std::int32_t zero_point, const tflite_codes& out) {
  const sparq::epilogue stages(sparq::subtract_zero_point(zero_point), sparq::bias(std::span(out.bias)),
                               requantization(out));
  return {Format::name(), multiply<std::int8_t>(p, pack_groups<Format, sparq::s8>(p), stages)};
}

template <class Parameters>
std::vector<std::int8_t> two_zero_points(const product<std::int8_t, std::int8_t>& p, std::int32_t x_zero_point,
                                         std::int32_t w_zero_point, const output_codes<Parameters>& out) {
  const std::size_t k = p.k();
  std::vector<std::int32_t> row_terms(p.x_shape[0]);
  for (std::size_t i = 0; i < p.x.size(); ++i) row_terms[i / k] += (p.x[i] - x_zero_point) * w_zero_point;
  const sparq::epilogue stages(sparq::subtract_zero_point(x_zero_point), subtract_from_row{row_terms},
                               requantization(out));
  return multiply<std::int8_t>(p, pack_groups<sparq::dense, sparq::s8>(p), stages);
}

}  // namespace

std::vector<format_codes> tflite_s8(const product<std::int8_t, std::int8_t>& p, std::int32_t zero_point,
                                    const tflite_codes& out) {
  return {codes_in<sparq::dense>(p, zero_point, out), codes_in<sparq::csr>(p, zero_point, out)};
}

std::vector<std::int8_t> tflite_two_zero_points(const product<std::int8_t, std::int8_t>& p, std::int32_t x_zero_point,
                                                std::int32_t w_zero_point, const tflite_codes& out) {
  return two_zero_points(p, x_zero_point, w_zero_point, out);
}

std::vector<std::int8_t> onnx_two_zero_points(const product<std::int8_t, std::int8_t>& p, std::int32_t x_zero_point,
                                              std::int32_t w_zero_point,
                                              const output_codes<sparq::fp32_nearest_even::parameters>& out) {
  return two_zero_points(p, x_zero_point, w_zero_point, out);
}

}  // namespace cases
