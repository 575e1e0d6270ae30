// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

#include <algorithm>
#include <numbers>

namespace workbench {

namespace {

template <class Formats>
std::vector<std::string> names_of() {
  return []<class... Format>(std::type_identity<std::tuple<Format...>>) {
    return std::vector<std::string>{Format::name()...};
  }(std::type_identity<Formats>{});
}

struct numeric_pair {
  const char* name;
  product_maker make;
  std::vector<std::string> (*formats)() = names_of<few_formats>;
};
constexpr numeric_pair pairs[] = {{"u8xs8", make_u8s8, names_of<byte_formats>},
                                  {"s8xs8", make_s8s8},
                                  {"u8xs4", make_u8s4, names_of<format_list>},
                                  {"f32xf32", make_f32f32, names_of<format_list>},
                                  {"bf16xbf16", make_bf16bf16, names_of<bf16_formats>},
                                  {"b1xb1", make_b1b1, names_of<bit_formats>},
                                  {"b1xternary", make_b1ternary, names_of<dense_format>},
                                  {"b1xs2", make_b1s2, names_of<dense_format>},
                                  {"f32xf16", make_f32f16},
                                  {"u7xs8", make_u7s8},
                                  {"u8xs6", make_u8s6},
                                  {"u8xs5", make_u8s5},
                                  {"u8xu4", make_u8u4, names_of<dense_format>},
                                  {"u8xs3", make_u8s3},
                                  {"u8xs2", make_u8s2},
                                  {"u8xternary", make_u8ternary},
                                  {"u8xbinary", make_u8binary},
                                  {"u8xpow2<4>", make_u8pow2},
                                  {"u8xcodebook<4>", make_u8codebook},
                                  {"u8xcodebook<4>/channel", make_u8codebook_per_channel, names_of<dense_format>},
                                  {"f32xcodebook<4>", make_f32codebook, names_of<dense_format>},
                                  {"u8xs8+1%", make_u8s8_remainder, names_of<tile_format>},
                                  {"u8xs8:32", make_groups<sparq::s8>, names_of<dense_format>},
                                  {"u8xs8:128", make_groups<sparq::s8>, names_of<dense_format>},
                                  {"u8xs4:32", make_groups<sparq::s4>, names_of<dense_format>},
                                  {"u8xs4:128", make_groups<sparq::s4>, names_of<dense_format>},
                                  {"u8xu4:32", make_groups<sparq::u4>, names_of<dense_format>},
                                  {"u8xu4:128", make_groups<sparq::u4>, names_of<dense_format>},
                                  {"u8xs2:32", make_groups<sparq::s2>, names_of<dense_format>},
                                  {"u8xs2:128", make_groups<sparq::s2>, names_of<dense_format>},
                                  {"u8xternary:32", make_groups<sparq::ternary>, names_of<dense_format>},
                                  {"u8xternary:128", make_groups<sparq::ternary>, names_of<dense_format>},
                                  {"u8xcodebook<4>:32", make_groups<sparq::codebook<4>>, names_of<dense_format>},
                                  {"u8xcodebook<4>:128", make_groups<sparq::codebook<4>>, names_of<dense_format>}};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Standard normal numbers by Box and Muller: std::normal_distribution differs between standard libraries.
class normal_source {
 public:
  explicit normal_source(std::uint64_t seed) : random_(seed) {}
  float operator()() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double u = (static_cast<double>(random_() >> 11) + 0.5) * 0x1p-53;
    const double v = static_cast<double>(random_() >> 11) * 0x1p-53;
    const double radius = std::sqrt(-2.0 * std::log(u));
    spare_ = static_cast<float>(radius * std::sin(2.0 * std::numbers::pi * v));
    has_spare_ = true;
    return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * v));
  }

 private:
  std::mt19937_64 random_;
  float spare_ = 0;
  bool has_spare_ = false;
};

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
  for (auto& w : weights) w = normal();
  return weights;
}

}  // namespace workbench
