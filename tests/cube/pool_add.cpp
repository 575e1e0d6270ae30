// SPDX-License-Identifier: MIT
#include <sparq/op/elementwise.hpp>
#include <sparq/op/pool.hpp>

#include "tests/cube/cube.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>

namespace cube {
namespace {

/// Layers whose every window has a tap inside the image.
std::vector<layer> pools() {
  std::vector<layer> result;
  for (const layer& l : layers()) {
    bool inside = true;
    for (std::size_t y = 0; y < l.output_height(); ++y) inside &= l.window.taps_inside_y(y, l.image_height).count() > 0;
    for (std::size_t x = 0; x < l.output_width(); ++x) inside &= l.window.taps_inside_x(x, l.image_width).count() > 0;
    if (inside) result.push_back(l);
  }
  return result;
}

template <sparq::integer_numeric X, sparq::integer_numeric Y>
void check_pools(const layer& l, sparq_test::random_source& random) {
  INFO(X::name << " -> " << Y::name);
  const auto values = random_codes<X>(l.inputs(), random);
  const stored_codes<X> x(l.inputs() / l.channels, l.channels, values);
  const auto image = x.image(l.images, l.image_height, l.image_width);
  const auto padding = random.between(X::min_code, X::max_code);
  const auto sums = window_sums(l, values, padding), maxima = window_maxima(l, values);
  stored_codes<Y> y(l.output_pixels(), l.channels);
  const auto out = y.image(l.images, l.output_height(), l.output_width());
  const auto codes = [&](const std::vector<std::int32_t>& sums_or_maxima, auto&& run) {
    const auto channels = random_requantization(sums_or_maxima, l.channels, Y::min_code, Y::max_code, random);
    run(sparq::epilogue(
        sparq::requantize_to_codes<Y>(std::span<const sparq::floor_shift::parameters>(channels))));
    REQUIRE(y.values() == requantized(sums_or_maxima, channels, 0, Y::min_code, Y::max_code));
  };
  codes(sums, [&](const auto& stages) {
    sparq::sum_pool2d(image, out, l.window, static_cast<typename X::code>(padding), stages, sparq::serial);
  });
  codes(maxima, [&](const auto& stages) { sparq::max_pool2d(image, out, l.window, stages, sparq::serial); });
  if constexpr (std::is_same_v<X, Y>) {
    sparq::max_pool2d(image, out, l.window, {}, sparq::serial);
    REQUIRE(y.values() == maxima);
    sparq::average_pool2d(image, out, l.window, {}, {true, static_cast<typename X::code>(padding)}, sparq::serial);
    std::vector<std::int32_t> averages;
    for (const std::int32_t sum : sums)
      averages.push_back(
          static_cast<std::int32_t>(std::round(static_cast<double>(sum) / static_cast<double>(l.window.taps()))));
    REQUIRE(y.values() == averages);
  }
}

/// left + right -> y, of three types.
template <sparq::integer_numeric L, sparq::integer_numeric R, sparq::integer_numeric Y>
void check_add(std::size_t rows, std::size_t columns, sparq_test::random_source& random) {
  INFO(L::name << " + " << R::name << " -> " << Y::name);
  const auto left = random_codes<L>(rows * columns, random), right = random_codes<R>(rows * columns, random);
  const auto quantization = [&](std::int32_t low, std::int32_t high) {
    return sparq::activation_quantization{random.real(0.01F, 2.0F), random.between(low, high)};
  };
  const auto p = sparq::add_parameters::try_from<Y>(quantization(L::min_code, L::max_code),
                                                    quantization(R::min_code, R::max_code),
                                                    quantization(Y::min_code, Y::max_code))
                     .value();
  std::vector<std::int32_t> wanted;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto scaled = [&](std::int32_t v, const sparq::elementwise_input& in) {
      return sparq::tflite_double::apply((v + in.offset) * (1 << p.left_shift), in.scale);
    };
    const std::int32_t sum = scaled(left[i], p.left) + scaled(right[i], p.right);
    wanted.push_back(std::clamp(sparq::tflite_double::apply(sum, p.output.scale) + p.output.zero_point,
                                std::int32_t{Y::min_code}, std::int32_t{Y::max_code}));
  }
  stored_codes<Y> y(rows, columns);
  sparq::elementwise_add(stored_codes<L>(rows, columns, left).matrix(), stored_codes<R>(rows, columns, right).matrix(),
                         y.matrix(), p);
  REQUIRE(y.values() == wanted);
}

}  // namespace
}  // namespace cube

TEST_CASE("cube: largest values and sums of windows, every X and Y") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const cube::layer& l : cube::pools())
    cube::for_each_activation([&]<class X>() {
      cube::for_each_activation([&]<class Y>() { cube::check_pools<X, Y>(l, random); });
    });
}

TEST_CASE("cube: sums of two tensors, every X and Y") {
  sparq_test::random_source random;
  INFO(random.text());
  for (const std::size_t columns : {1u, 7u, 16u, 255u, 256u, 300u})
    cube::for_each_activation([&]<class X>() {
      cube::for_each_activation([&]<class Y>() {
        cube::check_add<X, X, Y>(3, columns, random);
        cube::check_add<X, Y, Y>(2, columns, random);
      });
    });
}

TEST_CASE("elementwise: sums of matrices refuse other extents") {
  std::vector<std::byte> bytes(16);
  const sparq::narrow_matrix_view<sparq::u4> four(bytes.data(), 1, 4), five(bytes.data(), 1, 5);
  const auto p = sparq::add_parameters::try_from<sparq::u4>({1, 0}, {1, 0}, {1, 0}).value();
  CHECK(sparq::try_elementwise_add(four, five, four, p).message().find("1 x 5") != std::string::npos);
}
