// SPDX-License-Identifier: MIT
#include <sparq/tensor/any_tensor.hpp>

#include "tests/support/catch.hpp"

#include <cstddef>
#include <string>
#include <vector>

using sparq::any_packed;
using sparq::any_tensor;

namespace {

const std::vector<std::string> formats{"dense", "csr", "block<16,4>", "n_m<2,4>", "tile_wise<128>", "tile_n_m<32,2,4>"};
const std::vector<std::string> numerics{"f32", "s8", "s4"};
constexpr sparq::weight_shape shape{40, 24};

/// Two of every four k's, the same for all channels: every format holds that.
std::vector<float> weights() {
  std::vector<float> values(shape.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i % 4 == 1 || i % 4 == 2) values[i] = static_cast<float>(i % 15) - 7.0F;
  return values;
}

}  // namespace

TEST_CASE("any_tensor: every name makes the tensor that its type would make") {
  const std::vector<float> values = weights();
  for (const std::string& format : formats)
    for (const std::string& numeric : numerics) {
      INFO(format << " " << numeric);
      const any_tensor w = any_tensor::encode(format, numeric, values, shape);
      CHECK(w.format_name() == format);
      CHECK(w.numeric_name() == numeric);
      CHECK(w.shape() == shape);
      w.visit([&]<class T>(const T& tensor) {
        const auto typed =
            sparq::encode<typename T::format_type, typename T::numeric_type, typename T::granularity>(values, shape);
        CHECK(decode(tensor) == decode(typed));
        CHECK(w.bytes() == typed.bytes());
        CHECK(w.density() == typed.density());
      });
    }
}

TEST_CASE("any_tensor: names that are not in the set are answered with those that are") {
  const std::vector<float> values = weights();
  CHECK(any_tensor::try_encode("coo", "s8", values, shape).error().message() ==
        "any_tensor: no format is called \"coo\"; there are dense, csr, block<16,4>, n_m<2,4>, tile_wise<128>, "
        "tile_n_m<32,2,4>");
  CHECK(any_tensor::try_encode("csr", "s3", values, shape).error().message() ==
        "any_tensor: no numeric type is called \"s3\"; there are f32, s8, s4");
  CHECK_FALSE(any_tensor::try_encode("", "", values, shape).ok());
  CHECK_FALSE(any_tensor::try_encode("block<16", "s8", values, shape).ok());
}

TEST_CASE("any_tensor: what the format refuses is refused here") {
  const std::vector<float> full(shape.size(), 1.0F);
  CHECK(any_tensor::try_encode("n_m<2,4>", "s8", full, shape).error().message() ==
        "n_m<2,4>: channel 0 keeps 4 k's of group 0; the first too many is [n=0][k=2]");
  CHECK(any_tensor::try_encode("dense", "f32", std::span(full).first(5), shape).error().message() ==
        "encode: 5 values for a matrix of 40 x 24");
}

TEST_CASE("any_tensor: packs to the bytes that its type packs to") {
  const std::vector<float> values = weights();
  for (const std::string& format : formats)
    for (const std::string& numeric : numerics) {
      INFO(format << " " << numeric);
      const any_tensor w = any_tensor::encode(format, numeric, values, shape);
      const any_packed packed = pack(w);
      CHECK(packed.format_name() == format);
      CHECK(packed.numeric_name() == numeric);
      CHECK(packed.shape() == shape);
      CHECK(packed.density() == w.density());
      CHECK(packed.bytes() == packed_bytes(w));
      w.visit([&](const auto& tensor) {
        const auto typed = pack(tensor);
        packed.visit([&](const auto& held) {
          REQUIRE(held.block().size() == typed.block().size());
          CHECK(std::equal(held.block().begin(), held.block().end(), typed.block().begin()));
        });
      });
    }
}
