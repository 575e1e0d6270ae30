// SPDX-License-Identifier: MIT
// expect only: sparq: codes share bytes evenly or start at the low bits; use 1, 2 or 4 bits, or low_first
#include <sparq/numeric/codec.hpp>

struct s3 {
  using code = std::int8_t;
  static constexpr int bits = 3;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -4;
  static constexpr std::int32_t max_code = 3;
  static constexpr sparq::packing_order order = sparq::packing_order::high_first;
  static constexpr std::string_view name = "s3";
};

std::int8_t first(const std::byte* data) { return sparq::load_code<s3>(data, 0); }
