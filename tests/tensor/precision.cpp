// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm_any.hpp>
#include <sparq/tensor/precision.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace sparq;

TEST_CASE("precision: a map from layers to bits selects the kernel of every width, by one visit") {
  sparq_test::random_source random;
  INFO(random.text());
  std::map<std::string, std::pair<double, double>> map;
  for (int bits = 1; bits <= 8; ++bits) map["layer" + std::to_string(bits)] = {9 - bits, bits};
  constexpr weight_shape shape{19, 45};
  constexpr std::size_t m = 7;
  std::vector<float> weights(shape.size());
  for (float& w : weights) w = random.real(-1.0F, 1.0F);
  workspace scratch;
  std::map<std::string_view, std::size_t> bytes;
  for (const auto& [layer, bits] : map) {
    INFO(layer);
    const precision p = make_precision(layer, bits.first, bits.second);
    std::vector<std::uint8_t> x(m * shape.k);
    for (auto& value : x) value = static_cast<std::uint8_t>(random.between(0, p.x_max_code()));
    const matrix_view<const std::uint8_t> x_view(x.data(), m, shape.k);
    const auto w = any_precision<dense>::encode("dense", p.weight_numeric(), weights, shape);
    const auto w_packed = pack(w);
    std::vector<std::int32_t> y(m * shape.n);
    gemm(x_view, w_packed, matrix_view<std::int32_t>(y.data(), m, shape.n), epilogue<>{}, serial, scratch);
    w.visit([&](const auto& t) { REQUIRE(y == reference_gemm(x_view, t.view())); });
    bytes[w.numeric_name()] = w.bytes();
    const int packed_bits = p.w_bits <= 2 ? p.w_bits : p.w_bits <= 4 ? 4 : 8;
    const bool is_small_byte = 4 < p.w_bits && p.w_bits < 8;
    CHECK(w_packed.numeric_name() == (is_small_byte ? s8_up_to_64::name : precision{8, packed_bits}.weight_numeric()));
  }
  for (int bits = 1; bits <= 8; ++bits)
    CHECK(bytes[precision{8, bits}.weight_numeric()] ==
          ceil_div(shape.size() * static_cast<std::size_t>(bits), 8) + shape.n * 4);
}

TEST_CASE("precision: eight widths have five packed forms") {
  using packed_type = decltype(pack(std::declval<any_precision<dense>>()));
  STATIC_REQUIRE(std::variant_size_v<packed_type::variant> == 5);
}

TEST_CASE("precision: bits that are no whole number from 1 to 8 are refused") {
  CHECK(try_make_precision("conv1", 8, 3.5).error().message() ==
        "precision: layer conv1 has weights of 3.5 bits; a code has a whole number of bits, from 1 to 8");
  CHECK(try_make_precision("fc", 0, 4).error().message() ==
        "precision: layer fc has activations of 0 bits; a code has a whole number of bits, from 1 to 8");
  CHECK_FALSE(try_make_precision("fc", 9, 4).ok());
  CHECK_FALSE(try_make_precision("fc", 8, std::numeric_limits<double>::quiet_NaN()).ok());
  CHECK_FALSE(try_make_precision("fc", 8, 1e300).ok());
  CHECK(make_precision("fc", 3, 7) == precision{3, 7});
}

TEST_CASE("precision: bits that no one checked have no type, and that is refused by name") {
  const std::vector<float> weights(6, 1.0F);
  for (const int bits : {-1, 0, 9, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    const precision p{bits, bits};
    CHECK(p.x_max_code() == 0);
    CHECK(p.weight_numeric() == "");
    CHECK(any_precision<dense>::try_encode("dense", p.weight_numeric(), weights, {2, 3}).error().message() ==
          "any_tensor: no numeric type is called \"\"; there are binary, s2, s3, s4, s5, s6, s7, s8");
  }
}
