// SPDX-License-Identifier: MIT
#pragma once
// A trained network as a folder: network.json (format neutral-network/1) says which tensors and operations there are,
// .npy files next to it hold weights, inputs and what a reference implementation made of them. What is loaded here has
// been checked, so that whoever runs it need not: ids, shapes, types, the extents of every window, and that each tensor
// is written before it is read. Layouts: activations NHWC with a batch of 1, weights OHWI, 1HWO (depthwise) and OI.

#include <sparq/base/error.hpp>
#include <sparq/io/npy.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace explore {

/// A tensor of the network; `constant` holds the elements of weights and biases.
struct network_tensor {
  std::vector<std::size_t> shape;
  sparq::element_type type = sparq::element_type::f32;
  std::vector<double> scales;             // none, one, or one per index of quant_axis
  std::vector<std::int32_t> zero_points;  // as many as scales
  std::optional<std::size_t> quant_axis;
  std::optional<sparq::npy_array> constant;
};

/// Outputs are clamped to [min, max]; infinite where the network sets no bound.
struct clamp_range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
};

/// How the sum of a multiply-multiplier-and-shift is rounded, named as in the data.
enum class requant_rounding { gemmlowp_double, reduced_multiplier_int64 };

/// From the int32 accumulator of (x - input_zero_point)(w - weight_zero_point) + bias to the output's codes.
struct network_requantization {
  std::vector<std::int32_t> multiplier;  // Q31; one, or one per output channel
  std::vector<std::int32_t> shift;       // as many; positive shifts left
  requant_rounding rounding = requant_rounding::gemmlowp_double;
  std::int32_t input_zero_point = 0;
  std::int32_t weight_zero_point = 0;
  std::int32_t output_zero_point = 0;
};

/// A window that slides over an image. Padded positions contribute nothing.
struct window_2d {
  std::array<std::size_t, 2> size{1, 1};      // vertical, horizontal
  std::array<std::size_t, 2> stride{1, 1};    // vertical, horizontal
  std::array<std::size_t, 2> dilation{1, 1};  // vertical, horizontal
  std::array<std::size_t, 4> pad{};           // top, left, bottom, right
};

// ---- operations: inputs in the order of operation::inputs
// --------------------------------------------------------------
struct conv_2d {  // x, weights OHWI, bias if any
  static constexpr std::string_view name = "conv_2d";
  window_2d window;
  std::size_t groups = 1;
  clamp_range range;
  std::optional<network_requantization> requantization;  // none for f32
};

struct depthwise_conv_2d {  // x, weights 1HWO, bias if any; output channel o reads input channel o / depth_multiplier
  static constexpr std::string_view name = "depthwise_conv_2d";
  window_2d window;
  std::size_t depth_multiplier = 1;
  clamp_range range;
  std::optional<network_requantization> requantization;
};

struct fully_connected {  // x, weights OI, bias if any
  static constexpr std::string_view name = "fully_connected";
  clamp_range range;
  std::optional<network_requantization> requantization;
};

struct average_pool_2d {  // x
  static constexpr std::string_view name = "average_pool_2d";
  window_2d window;
  bool count_include_pad = false;
  clamp_range range;
};

struct max_pool_2d {  // x
  static constexpr std::string_view name = "max_pool_2d";
  window_2d window;
  clamp_range range;
};

struct reshape {  // x, and in some networks its shape as a tensor, which says nothing more
  static constexpr std::string_view name = "reshape";
  std::vector<std::size_t> shape;
};

struct softmax {  // x
  static constexpr std::string_view name = "softmax";
  struct fixed_point {  // gemmlowp's, as TFLite's reference kernel uses it
    std::int32_t input_multiplier = 0;
    std::int32_t input_left_shift = 0;
    std::int32_t diff_min = 0;
  };
  double beta = 1;
  std::optional<fixed_point> integer;  // none for f32
};

using operation_attributes =
    std::variant<conv_2d, depthwise_conv_2d, fully_connected, average_pool_2d, max_pool_2d, reshape, softmax>;

struct operation {
  operation_attributes attributes;
  std::vector<std::size_t> inputs;  // tensor ids
  std::size_t output = 0;           // tensor id
  /// What the reference computed for the first inputs of network::data: their number first, then the output's shape
  /// without its batch.
  std::optional<sparq::npy_array> expected;

  std::string_view name() const;
};

// ---- the network
// ------------------------------------------------------------------------------------------------------
/// How far a result may be from the reference: equal, or |got - want| <= atol + rtol |want|.
struct comparison_rule {
  bool bit_exact = true;
  double rtol = 0;
  double atol = 0;
};

/// Arrays of N inputs and what belongs to them. In all of them N comes first.
struct network_data {
  sparq::npy_array inputs;               // in the type of the input tensor: images are converted as the network asks
  sparq::npy_array expected;             // the network's outputs
  std::vector<std::size_t> labels;       // N, or empty: the right class of each input
  std::optional<double> reference_top1;  // the fraction of inputs that the reference classifies rightly

  std::size_t count() const { return inputs.shape.front(); }
};

struct network {
  std::string name;
  std::vector<network_tensor> tensors;
  std::vector<operation> operations;  // in the order of execution
  std::size_t input = 0;              // tensor id
  std::size_t output = 0;             // tensor id
  network_data data;
  comparison_rule compare;
};

/// Loads the folder that holds network.json. Throws sparq::error: one sentence that names the file and the field.
network load_network(const std::filesystem::path& folder);

struct agreement {
  std::size_t elements = 0;
  std::size_t outside = 0;        // elements that break the rule
  double largest_difference = 0;  // infinite if there is a NaN
};

/// Throws sparq::error if `want` holds another type or number of elements.
template <class T>
agreement compare(const comparison_rule& rule, std::span<const T> got, const sparq::npy_array& want) {
  const std::span<const T> wanted = want.as<T>();
  if (got.size() != wanted.size())
    sparq::raise("got " + std::to_string(got.size()) + " elements to compare with " + std::to_string(wanted.size()));
  agreement result{got.size(), 0, 0};
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == wanted[i]) continue;
    const double reference = static_cast<double>(wanted[i]);
    const double difference = std::abs(static_cast<double>(got[i]) - reference);
    const bool close = std::isfinite(difference) && difference <= rule.atol + rule.rtol * std::abs(reference);
    if (rule.bit_exact || !close) ++result.outside;
    const double size = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
    if (size > result.largest_difference) result.largest_difference = size;
  }
  return result;
}

}  // namespace explore
