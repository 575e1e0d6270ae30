// SPDX-License-Identifier: MIT
#include "bench/workbench/normal_source.hpp"
#include "bench/workbench/product_types.hpp"

#include <sparq/base/error.hpp>
#include <sparq/compress/prune.hpp>

#include <tuple>
#include <type_traits>

namespace workbench {

namespace {

struct numeric_pair {
  const char* name;
  std::unique_ptr<product> (*make)(const product_request&, std::span<const float>, sparq::weight_shape);
  std::vector<std::string> (*formats)();
};
template <class Products>
constexpr numeric_pair row(const char* name) {
  return {name, Products::make, names_of<typename Products::formats>};
}
constexpr numeric_pair pairs[] = {
    row<products<sparq::u8, sparq::s8, byte_formats>>("u8xs8"),
    row<products<sparq::s8, sparq::s8>>("s8xs8"),
    row<products<sparq::u8, sparq::s4, format_list>>("u8xs4"),
    row<products<sparq::f32, sparq::f32, format_list>>("f32xf32"),
    row<products<sparq::bf16, sparq::bf16, bf16_formats>>("bf16xbf16"),
    row<bit_sums<sparq::binary, bit_formats>>("b1xb1"),
    row<bit_sums<sparq::ternary>>("b1xternary"),
    row<bit_sums<sparq::s2>>("b1xs2"),
    row<products<sparq::f32, sparq::f16>>("f32xf16"),
    row<products<sparq::u8_up_to_127, sparq::s8>>("u7xs8"),
    row<products<sparq::u8, sparq::s7>>("u8xs7"),
    row<products<sparq::u8, sparq::s6>>("u8xs6"),
    row<products<sparq::u8, sparq::s5>>("u8xs5"),
    row<sums<sparq::u8, sparq::u4>>("u8xu4"),
    row<products<sparq::u8, sparq::s3>>("u8xs3"),
    row<products<sparq::u8, sparq::s2>>("u8xs2"),
    row<products<sparq::u8, sparq::ternary>>("u8xternary"),
    row<products<sparq::u8, sparq::binary>>("u8xbinary"),
    row<products<sparq::u8, sparq::pow2<4>>>("u8xpow2<4>"),
    row<products<sparq::u8, sparq::codebook<4>>>("u8xcodebook<4>"),
    row<products<sparq::u8, sparq::codebook<4, sparq::s8, sparq::per_channel>, dense_format>>("u8xcodebook<4>/channel"),
    row<sums<sparq::f32, sparq::codebook<4, sparq::f32, sparq::per_channel>>>("f32xcodebook<4>"),
    row<products_with_remainder>("u8xs8+1%"),
    row<sums<sparq::u8, sparq::s8, sparq::per_group<32>>>("u8xs8:32"),
    row<sums<sparq::u8, sparq::s8, sparq::per_group<128>>>("u8xs8:128"),
    row<sums<sparq::u8, sparq::s4, sparq::per_group<32>>>("u8xs4:32"),
    row<sums<sparq::u8, sparq::s4, sparq::per_group<128>>>("u8xs4:128"),
    row<sums<sparq::u8, sparq::u4, sparq::per_group<32>>>("u8xu4:32"),
    row<sums<sparq::u8, sparq::u4, sparq::per_group<128>>>("u8xu4:128"),
    row<sums<sparq::u8, sparq::s2, sparq::per_group<32>>>("u8xs2:32"),
    row<sums<sparq::u8, sparq::s2, sparq::per_group<128>>>("u8xs2:128"),
    row<sums<sparq::u8, sparq::ternary, sparq::per_group<32>>>("u8xternary:32"),
    row<sums<sparq::u8, sparq::ternary, sparq::per_group<128>>>("u8xternary:128"),
    row<sums<sparq::u8, sparq::codebook<4>, sparq::per_group<32>>>("u8xcodebook<4>:32"),
    row<sums<sparq::u8, sparq::codebook<4>, sparq::per_group<128>>>("u8xcodebook<4>:128"),
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::vector<std::string> formats() { return names_of<format_list>(); }

std::vector<std::string> formats(const std::string& numerics) {
  for (const auto& pair : pairs)
    if (pair.name == numerics) return pair.formats();
  return formats();
}

std::vector<std::string> numerics() {
  std::vector<std::string> names;
  for (const auto& pair : pairs) names.emplace_back(pair.name);
  return names;
}

double implied_sparsity(const std::string& format) {
  double result = -1;
  [&]<class... Format>(std::type_identity<std::tuple<Format...>>) {
    const auto consider = [&]<class F>(std::type_identity<F>) {
      if constexpr (sparq::detail::prunes_to_one_sparsity<F>)
        if (F::name() == format) result = sparq::pruner<F>::implied_sparsity;
    };
    (consider(std::type_identity<Format>{}), ...);
  }(std::type_identity<byte_formats>{});
  return result;
}

std::unique_ptr<product> make_product(const product_request& request, std::span<const float> weights, std::size_t n,
                                      std::size_t k) {
  for (const auto& pair : pairs) {
    if (pair.name != request.numerics) continue;
    auto made = pair.make(request, weights, {n, k});
    if (made == nullptr)
      sparq::raise("no format of " + request.numerics + " is called " + request.format + "; there are " +
                   joined(formats(request.numerics)));
    return made;
  }
  sparq::raise("no numeric types are called " + request.numerics + "; there are " + joined(numerics()));
}

std::vector<float> noise_weights(std::size_t n, std::size_t k, std::uint64_t seed) {
  normal_source normal(seed);
  std::vector<float> weights(n * k);
  for (auto& w : weights) w = static_cast<float>(normal());
  return weights;
}

}  // namespace workbench
