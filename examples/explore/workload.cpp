// SPDX-License-Identifier: MIT
#include "workload.hpp"

#include "network.hpp"

#include "bench/workbench/normal_source.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sparq/base/error.hpp>
#include <sparq/format/shape.hpp>
#include <sparq/io/mtx.hpp>
#include <sparq/io/npy.hpp>
#include <sparq/io/smtx.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <variant>

namespace explore {
namespace {

constexpr std::size_t default_m = 128;
constexpr std::size_t max_weights = 4'000'000'000;  // a sparse file of a few bytes may claim any extents

// Each layer has weights of its own.
std::uint64_t seed_of(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash + seed * 0x9E3779B97F4A7C15u;
}

struct network_layer {
  std::string_view network;
  std::string_view name;
  std::string_view kind;
  std::size_t m, n, k;
  bool representative;
};

// m counts the output pixels of one image, or the tokens of one sentence.
constexpr auto network_layers = std::to_array<network_layer>({
    {"ResNet-50", "resnet50.conv2.1x1_expand", "conv 1x1", 3136, 256, 64, false},
    {"ResNet-50", "resnet50.conv2.3x3", "conv 3x3", 3136, 64, 576, false},
    {"ResNet-50", "resnet50.conv3.1x1_reduce", "conv 1x1", 784, 128, 512, false},
    {"ResNet-50", "resnet50.conv3.3x3", "conv 3x3", 784, 128, 1152, false},
    {"ResNet-50", "resnet50.conv4.1x1_expand", "conv 1x1", 196, 1024, 256, false},
    {"ResNet-50", "resnet50.conv4.3x3", "conv 3x3", 196, 256, 2304, true},
    {"ResNet-50", "resnet50.conv5.1x1_reduce", "conv 1x1", 49, 512, 2048, false},
    {"ResNet-50", "resnet50.conv5.3x3", "conv 3x3", 49, 512, 4608, false},
    {"BERT-base", "bert.attention", "gemm", 128, 768, 768, false},
    {"BERT-base", "bert.ffn_in", "gemm", 128, 3072, 768, true},
    {"BERT-base", "bert.ffn_out", "gemm", 128, 768, 3072, false},
    {"MobileNet-v1", "mobilenet.pointwise_2", "conv 1x1", 3136, 128, 128, false},
    {"MobileNet-v1", "mobilenet.pointwise_4", "conv 1x1", 784, 256, 256, false},
    {"MobileNet-v1", "mobilenet.pointwise_7", "conv 1x1", 196, 512, 512, true},
    {"MobileNet-v1", "mobilenet.pointwise_13", "conv 1x1", 49, 1024, 1024, false},
});

void check_extents(std::string_view source, std::size_t n, std::size_t k) {
  if (n == 0 || k == 0 || n > max_weights / k) {
    sparq::raise(fmt::format("{}: the matrix is {} x {}; explore takes 1 to {} weights, zeros included", source, n, k,
                             max_weights));
  }
}

workload checked(const std::filesystem::path& file, layer what, std::vector<float> weights) {
  const auto bad = std::find_if_not(weights.begin(), weights.end(), [](float w) { return std::isfinite(w); });
  if (bad != weights.end()) {
    const auto at = static_cast<std::size_t>(bad - weights.begin());
    sparq::raise(fmt::format("{}: weight {} is {}; weights are finite numbers", file.string(),
                             sparq::position_text(at / what.k, at % what.k), *bad));
  }
  const auto zeros = std::count(weights.begin(), weights.end(), 0.0f);
  if (static_cast<std::size_t>(zeros) == weights.size())
    sparq::raise(fmt::format("{}: all weights are 0", file.string()));
  what.given_sparsity = static_cast<double>(zeros) / static_cast<double>(weights.size());
  return {std::move(what), std::move(weights)};
}

std::size_t elements(const network_tensor& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::size_t{1}, std::multiplies<>());
}

// What the codes of a constant mean: (code - zero point) * scale.
std::vector<float> real_values(const network_tensor& tensor) {
  std::vector<float> values = tensor.constant->to<float>();
  if (tensor.scales.empty()) return values;
  const std::size_t axis = tensor.quant_axis.value_or(0);
  std::size_t stride = 1;
  for (std::size_t i = axis + 1; i < tensor.shape.size(); ++i) stride *= tensor.shape[i];
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t channel = tensor.scales.size() == 1 ? 0 : i / stride % tensor.shape[axis];
    const double code = values[i];
    values[i] = static_cast<float>((code - tensor.zero_points[channel]) * tensor.scales[channel]);
  }
  return values;
}

}  // namespace

std::vector<float> structured_weights(std::size_t n, std::size_t k, std::string_view name, std::uint64_t seed) {
  workbench::normal_source normal(seed_of(name, seed));
  const auto importance = [&](std::size_t count) {
    std::vector<double> factors(count);
    for (double& factor : factors) factor = std::exp(0.5 * normal());
    return factors;
  };
  const std::vector<double> row = importance(n);
  const std::vector<double> column = importance(k);
  const double scale = 1 / std::sqrt(static_cast<double>(k));
  std::vector<float> weights(n * k);
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t c = 0; c < k; ++c) {
      weights[r * k + c] = static_cast<float>(normal() * row[r] * column[c] * scale);
    }
  }
  return weights;
}

std::vector<workload> network_shapes(const options& asked) {
  std::vector<workload> workloads;
  for (const network_layer& l : network_layers) {
    if (asked.quick && !l.representative) continue;
    workloads.push_back({{std::string(l.name), asked.m.value_or(l.m), l.n, l.k, std::string(l.kind),
                          fmt::format("{}, generated weights", l.network), 0},
                         structured_weights(l.n, l.k, l.name, asked.seed)});
  }
  return workloads;
}

workload generated_layer(const extents& shape, const options& asked) {
  const auto [own_m, n, k] = shape;
  const std::size_t m = asked.m.value_or(own_m);
  std::string name = fmt::format("{}x{}x{}", m, n, k);
  check_extents("--shape " + name, n, k);
  std::vector<float> weights = structured_weights(n, k, name, asked.seed);
  return {{std::move(name), m, n, k, "gemm", "generated weights", 0}, std::move(weights)};
}

workload read_weights(const std::filesystem::path& file, const options& asked) {
  const sparq::npy_array array = sparq::load_npy(file);
  const auto& shape = array.shape;
  if ((shape.size() != 2 && shape.size() != 4) || array.size() == 0) {
    sparq::raise(
        fmt::format("{}: the array has shape ({}); weights are n x k, or n x h x w x i for a convolution, and "
                    "no extent is 0",
                    file.string(), fmt::join(shape, ", ")));
  }
  layer what{
      file.stem().string(), asked.m.value_or(default_m), shape[0], array.size() / shape[0], "gemm", file.string(), 0};
  if (shape.size() == 4) what.kind = fmt::format("conv {}x{}", shape[1], shape[2]);
  return checked(file, std::move(what), array.to<float>());
}

std::vector<workload> read_network(const std::filesystem::path& folder, const options& asked) {
  const network net = load_network(folder);
  std::vector<workload> workloads;
  for (std::size_t i = 0; i < net.operations.size(); ++i) {
    const operation& op = net.operations[i];
    const auto* const conv = std::get_if<conv_2d>(&op.attributes);
    const bool product =
        std::holds_alternative<fully_connected>(op.attributes) || (conv != nullptr && conv->groups == 1);
    if (!product || !net.tensors[op.inputs[1]].constant) continue;
    const network_tensor& weights = net.tensors[op.inputs[1]];
    const std::size_t n = weights.shape[0];
    layer what{fmt::format("{}.{}.{}", net.name, i, op.name()),
               asked.m.value_or(elements(net.tensors[op.output]) / n),
               n,
               elements(weights) / n,
               "gemm",
               folder.string(),
               0};
    if (conv != nullptr) what.kind = fmt::format("conv {}x{}", conv->window.size[0], conv->window.size[1]);
    workloads.push_back(checked(folder, std::move(what), real_values(weights)));
  }
  if (workloads.empty())
    sparq::raise(fmt::format("{}: the network has no convolution or fully connected layer", folder.string()));
  return workloads;
}

workload read_pruned(const std::filesystem::path& file, const options& asked) {
  const sparq::sparse_matrix matrix = file.extension() == ".mtx" ? sparq::load_mtx(file) : sparq::load_smtx(file);
  const std::size_t n = matrix.n;
  const std::size_t k = matrix.k;
  check_extents(file.string(), n, k);
  const bool generated = matrix.values.empty();
  const std::string name = file.stem().string();
  const std::vector<float> values = generated ? structured_weights(n, k, name, asked.seed) : std::vector<float>();
  std::vector<float> weights = to_dense(matrix);
  if (generated) std::transform(weights.begin(), weights.end(), values.begin(), weights.begin(), std::multiplies<>());
  const std::string source = file.string() + (generated ? ", generated values" : "");
  return checked(file, {name, asked.m.value_or(default_m), n, k, "gemm", source, 0}, std::move(weights));
}

std::vector<double> sparsity_levels(const layer& what, const options& asked) {
  constexpr double worth_measuring = 0.05;  // fewer zeros than that are an accident of the values
  const bool pruned = what.given_sparsity >= worth_measuring;
  std::vector<double> levels = asked.sparsities;
  if (levels.empty() && !pruned) {
    levels = asked.quick ? std::vector{0.5, 0.75, 0.9} : std::vector{0.1, 0.25, 0.5, 0.75, 0.875, 0.95};
  }
  if (pruned) {
    std::erase_if(levels, [&](double level) { return level <= what.given_sparsity; });
    levels.insert(levels.begin(), what.given_sparsity);
  }
  return levels;
}

}  // namespace explore
