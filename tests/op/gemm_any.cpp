// SPDX-License-Identifier: MIT
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm_any.hpp>
#include <sparq/tensor/any_tensor.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/narrow.hpp"
#include "tests/support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

using namespace sparq;

namespace {

const std::vector<std::string> formats{"dense", "csr", "block<16,4>", "n_m<2,4>", "tile_wise<128>", "tile_n_m<32,2,4>"};
constexpr weight_shape shape{37, 44};
constexpr std::size_t m = 5;

/// Two of every four k's, the same for all channels: every format holds that.
std::vector<float> random_weights(std::mt19937& random) {
  std::vector<float> values(shape.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (i % 4 == 1 || i % 4 == 2) values[i] = static_cast<float>(random() % 15) - 7.0F;
  return values;
}

}  // namespace

TEST_CASE("gemm_any: bytes meet every format of s8 and s4 as the reference does") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const auto weights = random_weights(random);
  std::vector<std::uint8_t> x(m * shape.k);
  for (auto& value : x) value = static_cast<std::uint8_t>(random());
  const matrix_view<const std::uint8_t> x_view(x.data(), m, shape.k);
  workspace scratch;
  for (const std::string& format : formats)
    for (const char* numeric : {"s8", "s4"}) {
      INFO(format << " " << numeric);
      const any_tensor w = any_tensor::encode(format, numeric, weights, shape);
      std::vector<std::int32_t> y(m * shape.n, 77);
      gemm(x_view, pack(w), matrix_view<std::int32_t>(y.data(), m, shape.n), epilogue<>{}, serial, scratch);
      w.visit([&]<class T>(const T& tensor) {
        if constexpr (T::numeric_type::is_integer) REQUIRE(y == reference_gemm(x_view, tensor.view()));
      });
    }
}

TEST_CASE("gemm_any: X and weights of different kinds are refused, and so is what gemm refuses") {
  std::mt19937 random(1);
  const auto weights = random_weights(random);
  const std::vector<std::uint8_t> x(m * shape.k);
  std::vector<std::int32_t> y(m * shape.n, 77);
  workspace scratch;
  const auto sentence = [&](const char* numeric, std::size_t columns) {
    return try_gemm(matrix_view<const std::uint8_t>(x.data(), m, columns),
                    pack(any_tensor::encode("csr", numeric, weights, shape)),
                    matrix_view<std::int32_t>(y.data(), m, shape.n), epilogue<>{}, serial, scratch)
        .message();
  };
  CHECK(sentence("f32", shape.k) == "gemm: X is u8, the weights are f32; floats meet floats, bytes meet integers");
  CHECK(sentence("s8", 43) == "gemm: X is 5 x 43, W is 37 x 44; X needs 44 columns");
  CHECK(y == std::vector<std::int32_t>(y.size(), 77));
  CHECK(sentence("s8", shape.k) == "");
}

TEST_CASE("gemm_any: floats meet every format of f32 and nothing else") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const auto weights = random_weights(random);
  std::vector<float> x(m * shape.k);
  for (auto& value : x) value = static_cast<float>(random() % 9) - 4.0F;  // small integers: sums are exact
  const matrix_view<const float> x_view(x.data(), m, shape.k);
  workspace scratch;
  std::vector<float> y(m * shape.n);
  const matrix_view<float> y_view(y.data(), m, shape.n);
  for (const std::string& format : formats) {
    INFO(format);
    const any_tensor w = any_tensor::encode(format, "f32", weights, shape);
    gemm(x_view, pack(w), y_view, epilogue<>{}, serial, scratch);
    w.visit([&]<class T>(const T& tensor) {
      if constexpr (!T::numeric_type::is_integer) {
        const std::vector<double> want = reference_gemm(x_view, tensor.view());
        REQUIRE(std::vector<double>(y.begin(), y.end()) == want);
      }
    });
  }
  CHECK(try_gemm(x_view, pack(any_tensor::encode("csr", "s4", weights, shape)), y_view, epilogue<>{}, serial, scratch)
            .message() == "gemm: X is f32, the weights are s4; floats meet floats, bytes meet integers");
}

TEST_CASE("gemm_any: a set of types of your own, codebooks among them") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  using clustered = codebook<4, s8>;
  using mine = basic_any_tensor<std::variant<tensor<dense, clustered>, tensor<dense, codebook<2, f32>>>>;
  std::vector<std::int8_t> table(16);
  for (std::size_t i = 1; i < 16; ++i) table[i] = static_cast<std::int8_t>(random());
  const auto weights = random_weights(random);
  const mine w = encode<dense, clustered>(weights, shape, mask(shape), table, std::vector<float>(shape.n, 1.0F));
  std::vector<std::uint8_t> x(m * shape.k);
  for (auto& value : x) value = static_cast<std::uint8_t>(random());
  const matrix_view<const std::uint8_t> x_view(x.data(), m, shape.k);
  std::vector<std::int32_t> y(m * shape.n, 77);
  const matrix_view<std::int32_t> y_view(y.data(), m, shape.n);
  workspace scratch;
  gemm(x_view, pack(w), y_view, epilogue<>{}, serial, scratch);
  w.visit([&]<class T>(const T& tensor) {
    if constexpr (std::is_same_v<typename T::numeric_type, clustered>)
      REQUIRE(y == reference_gemm(x_view, tensor.view()));
  });
  const mine floats = encode<dense, codebook<2, f32>>(weights, shape, mask(shape), {0.0F, 1.0F, 2.0F, -1.0F}, {});
  CHECK(try_gemm(x_view, pack(floats), y_view, epilogue<>{}, serial, scratch).message() ==
        "gemm: X is u8, the weights are codebook<2,f32,per_tensor>; floats meet floats, bytes meet integers");
}

TEST_CASE("gemm_any: X of 16 and of 4 bits and X by columns meet what is packed for them, and the rest is refused") {
  using csr_or_dense = basic_any_tensor<std::variant<tensor<csr, s8>, tensor<dense, s8>>>;
  sparq_test::random_source random;
  INFO(random.text());
  std::mt19937 engine(static_cast<std::mt19937::result_type>(random.below(1000000)));
  const auto weights = random_weights(engine);
  const auto sparse = csr_or_dense::encode("csr", "s8", weights, shape),
             full = csr_or_dense::encode("dense", "s8", weights, shape);
  workspace scratch;
  const auto reference = [](const auto& x, const csr_or_dense& w) {
    return w.visit([&](const auto& t) { return reference_gemm(x, t.view()); });
  };

  std::vector<std::int16_t> x(m * shape.k);
  for (auto& value : x) value = static_cast<std::int16_t>(random.between(-32768, 32767));
  const matrix_view<const std::int16_t> wide(x.data(), m, shape.k);
  std::vector<std::int64_t> y(m * shape.n, 77);
  for (const csr_or_dense& w : {sparse, full}) {
    gemm(wide, pack(w), matrix_view<std::int64_t>(y.data(), m, shape.n), epilogue<>(), serial, scratch);
    CHECK(y == reference(wide, w));
  }
  const std::vector<std::int32_t> sums_as_x(m * shape.k);
  y.assign(y.size(), 77);
  CHECK(try_gemm(matrix_view<const std::int32_t>(sums_as_x.data(), m, shape.k), pack(full),
                 matrix_view<std::int64_t>(y.data(), m, shape.n), epilogue<>(), serial, scratch)
            .message()
            .find("gemm: no kernel multiplies X of s32 by weights packed as ") == 0);
  CHECK(y == std::vector<std::int64_t>(y.size(), 77));

  const sparq_test::narrow_input<u4> narrow(m, shape.k, 1, sparq_test::value_style::any, random);
  const matrix_view<const std::uint8_t> bytes(narrow.codes().data(), m, shape.k);
  std::vector<std::uint8_t> quads(quad_view<std::uint8_t>::elements(m, shape.k));
  const quad_view<std::uint8_t> by_quads(quads.data(), m, shape.k);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t k = 0; k < shape.k; ++k) by_quads(i, k) = bytes(i, k);
  for (const csr_or_dense& w : {sparse, full}) {
    std::vector<std::int32_t> sums(m * shape.n);
    const matrix_view<std::int32_t> view(sums.data(), m, shape.n);
    gemm(narrow.view(), pack(w), view, epilogue<>(), serial, scratch);
    CHECK(sums == reference(bytes, w));
    sums.assign(sums.size(), 0);
    const status s = try_gemm(quad_view<const std::uint8_t>(by_quads), pack(w), view, epilogue<>(), serial, scratch);
    if (w.format_name() == "csr")
      CHECK(sums == reference(bytes, w));
    else
      CHECK(s.message() == "gemm: X or Y lies by columns, the weights are packed for the rows loop");
  }
}
