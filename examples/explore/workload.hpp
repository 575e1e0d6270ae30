// SPDX-License-Identifier: MIT
#pragma once
// Where the layers and their weights come from: files of the user, or the shapes of well-known networks with generated
// weights. Generated weights have important and unimportant rows and columns, as trained ones do; on white noise every
// structured pattern looks worse than it is. The same seed gives the same weights with every compiler.

#include "options.hpp"
#include "results.hpp"

#include "bench/extents.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace explore {

struct workload {
  layer what;
  std::vector<float> weights;  // n x k, row-major, finite
};

/// Representative layers of ResNet-50, BERT-base and MobileNet-v1, one of each network if `asked.quick`.
std::vector<workload> network_shapes(const options& asked);

/// A layer of these extents with generated weights. Throws sparq::error if it has more weights than explore takes.
workload generated_layer(const extents& shape, const options& asked);

/// Weights from a .npy: n x k, or a convolution's n x h x w x i (OHWI), which becomes n x (h w i). Throws sparq::error
/// on another shape and on weights that are not finite.
workload read_weights(const std::filesystem::path& file, const options& asked);

/// The layers of a network folder that are matrix products, depthwise ones left out, with real-valued weights. Throws
/// sparq::error.
std::vector<workload> read_network(const std::filesystem::path& folder, const options& asked);

/// A pruned matrix from an .smtx or .mtx; where the file has a pattern only, the stored positions get generated values.
/// Throws sparq::error.
workload read_pruned(const std::filesystem::path& file, const options& asked);

/// The sparsities at which `what` is measured, ascending: those asked for, or a default ladder. Weights that come with
/// zeros of their own are measured as they are, and pruned further only where the user asks for more.
std::vector<double> sparsity_levels(const layer& what, const options& asked);

/// n x k weights, normal * exp(normal of the row / 2) * exp(normal of the column / 2) / sqrt(k). `name` and `seed`
/// choose the stream, so that a layer's weights do not depend on which other layers are looked at.
std::vector<float> structured_weights(std::size_t n, std::size_t k, std::string_view name, std::uint64_t seed);

}  // namespace explore
