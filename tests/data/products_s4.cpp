// SPDX-License-Identifier: MIT
#include "tests/data/multiply.hpp"

#include <sparq/format/dense.hpp>

namespace cases {

template <class X>
std::vector<std::int32_t> sums_of_s4(const product<X, std::int8_t>& p, std::int32_t zero_point) {
  return multiply<std::int32_t>(p, pack_groups<sparq::dense, sparq::s4>(p),
                                sparq::epilogue(sparq::subtract_zero_point(zero_point)));
}
template std::vector<std::int32_t> sums_of_s4(const product<std::int8_t, std::int8_t>&, std::int32_t);
template std::vector<std::int32_t> sums_of_s4(const product<std::uint8_t, std::int8_t>&, std::int32_t);

std::vector<std::int8_t> tflite_s4(const product<std::int8_t, std::int8_t>& p, std::int32_t zero_point,
                                   const tflite_codes& out) {
  const sparq::epilogue stages(
      sparq::subtract_zero_point(zero_point), sparq::bias(std::span(out.bias)),
      sparq::requantize_to_codes<sparq::s8>(std::span(out.per_channel), out.zero_point, out.low, out.high));
  return multiply<std::int8_t>(p, pack_groups<sparq::dense, sparq::s4>(p), stages);
}

template <class X>
std::vector<X> floor_shift_s4(const product<X, std::int8_t>& p, const floor_shift_codes& out) {
  const auto stage =
      sparq::requantize_to_codes<sparq::numeric_of_t<X>>(std::span(out.per_channel), out.zero_point, out.low, out.high);
  return multiply<X>(p, pack_groups<sparq::dense, sparq::s4>(p), sparq::epilogue(stage));
}
template std::vector<std::int8_t> floor_shift_s4(const product<std::int8_t, std::int8_t>&, const floor_shift_codes&);
template std::vector<std::uint8_t> floor_shift_s4(const product<std::uint8_t, std::int8_t>&, const floor_shift_codes&);

}  // namespace cases
