// SPDX-License-Identifier: MIT
#include <sparq/op/embedding_table.hpp>

#include "tests/support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

using namespace sparq;

TEST_CASE("embedding_table: the bytes of a fused row") {
  const std::vector<float> numbers = {-1.0F, 0.0F, 2.0F};
  std::vector<std::byte> row(fused_rows<4, half_float>::row_bytes(3));
  quantize_fused_row<4, half_float>(numbers, row);
  // scale 3 / 15 as f16 is 0.19995, offset -1; codes 0, 5, 15
  const std::vector<unsigned> want = {0x50, 0x0F, 0x66, 0x32, 0x00, 0xBC};
  REQUIRE(row.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(std::to_integer<unsigned>(row[i]) == want[i]);
  CHECK(try_quantize_fused_row<4, half_float>(numbers, std::span(row).first(5)).message() ==
        "quantize_fused_row: 3 numbers take 6 bytes, there are 5");
  CHECK(try_quantize_fused_row<4, half_float>(std::vector<float>{0, 1, NAN}, row).message() ==
        "quantize_fused_row: number 2 is nan");
}

TEST_CASE("embedding_table: numbers whose scale or offset is not finite are refused, and the row stays as it is") {
  const auto refuses = []<int Bits, class Scale>(fused_rows<Bits, Scale>, std::vector<float> numbers) {
    std::vector<std::byte> row(fused_rows<Bits, Scale>::row_bytes(numbers.size()), std::byte{7});
    const auto before = row;
    const std::string text = try_quantize_fused_row<Bits, Scale>(numbers, row).message();
    CHECK(row == before);
    return text;
  };
  CHECK(refuses(fused_rows<4, float>({}, 0, 0), {0x1p127F, -0x1p127F}) ==
        "quantize_fused_row: numbers from -1.70141183e+38 to 1.70141183e+38 need a scale or offset that is not finite");
  CHECK_FALSE(refuses(fused_rows<8, half_float>({}, 0, 0), {1.0F, -1e6F}).empty());  // offset
  CHECK_FALSE(refuses(fused_rows<8, half_float>({}, 0, 0), {1.0F, 1e30F}).empty());  // scale
}

TEST_CASE("embedding_table: a scale without a finite inverse becomes 1, and all codes 0") {
  const auto scale_of = [](float most, unsigned code) {
    std::vector<std::byte> row(fused_rows<4, float>::row_bytes(2));
    quantize_fused_row<4, float>(std::vector<float>{0.0F, most}, row);
    CHECK(std::to_integer<unsigned>(row[0]) == code);
    return fused_rows<4, float>(row, 1, 2).scale(0);
  };
  CHECK(scale_of(15 * 0x1p-128F, 0) == 1.0F);
  CHECK(scale_of(15 * 0x1p-127F, 0xF0) == 0x1p-127F);
}
