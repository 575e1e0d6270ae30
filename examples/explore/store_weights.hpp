// SPDX-License-Identifier: MIT
#pragma once
// What a numeric type does to a trained network: its weights go through the type and back, so that the outputs show the
// error of storing them so, whatever kernels would run.

#include "network.hpp"

#include <cstddef>
#include <string>

namespace explore {

/// Replaces the f32 weights of all convolutions and fully connected layers by what they are when stored as `numeric`,
/// one of numeric_names(), dense, with a scale for each output channel or, for a codebook, one table for each layer.
/// Returns the bytes of all weights, scales and tables included. Throws sparq::error for a numeric type that is not known.
std::size_t store_weights(network& net, const std::string& numeric);

}  // namespace explore
