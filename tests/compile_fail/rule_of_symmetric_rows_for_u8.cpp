// SPDX-License-Identifier: MIT
// expect only: sparq: tflite_dynamic is a rule for symmetric codes; use std::int8_t, or divide_to_even
#include <sparq/op/quantize_rows.hpp>

void quantize(sparq::matrix_view<const float> x, const sparq::quantized_rows<std::uint8_t>& to) {
  sparq::quantize_rows<sparq::tflite_dynamic>(x, to, sparq::serial);
}
