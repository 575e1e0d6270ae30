// SPDX-License-Identifier: MIT
// expect only: sparq: an unquantized tensor has no scales to choose; use per_tensor, per_channel or per_group<G>
#include <sparq/numeric/weight_quantization.hpp>

sparq::status choose(std::span<const float> weights, std::span<float> scales) {
  return sparq::choose_scales<sparq::s8, sparq::unquantized>(weights, 4, 4, scales);
}
