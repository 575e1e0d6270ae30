// SPDX-License-Identifier: MIT
#include "tests/data/multiply.hpp"

#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>

namespace cases {
namespace {

template <class Format, class... Stages>
format_codes_s16 codes_in(const product<std::int16_t, std::int8_t>& p, const sparq::epilogue<Stages...>& stages) {
  return {Format::name(), multiply<std::int16_t>(p, pack_groups<Format, sparq::s8>(p), stages)};
}

}  // namespace

std::vector<format_codes_s16> tflite_s16(const product<std::int16_t, std::int8_t>& p,
                                         const output_codes_s16<sparq::tflite_16x8::parameters>& out) {
  const sparq::epilogue stages(
      sparq::bias(std::span(out.bias)),
      sparq::requantize_to_codes<sparq::s16>(std::span(out.per_channel), 0, out.low, out.high));
  return {codes_in<sparq::dense>(p, stages), codes_in<sparq::tile_wise<8>>(p, stages)};
}

std::vector<format_codes_s16> tflite_s16(const product<std::int16_t, std::int8_t>& p,
                                         const output_codes_s16<sparq::tflite_double::parameters>& out) {
  const sparq::epilogue stages(
      sparq::bias(std::span(out.bias)), sparq::saturate_to_integer(),
      sparq::requantize_to_codes<sparq::s16>(std::span(out.per_channel), 0, out.low, out.high));
  return {codes_in<sparq::dense>(p, stages)};
}

}  // namespace cases
