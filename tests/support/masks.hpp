// SPDX-License-Identifier: MIT
#pragma once
// Masks from pictures and back, random masks, and what an index visits.

#include <sparq/format/mask.hpp>

#include "tests/support/random.hpp"

#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

namespace sparq_test {

/// One string for each channel: '.' is pruned, anything else kept.
inline sparq::mask mask_of(const std::vector<std::string>& picture) {
  sparq::mask keep({picture.size(), picture.empty() ? 0 : picture[0].size()}, false);
  for (std::size_t n = 0; n < picture.size(); ++n)
    for (std::size_t k = 0; k < picture[n].size(); ++k) keep.set(n, k, picture[n][k] != '.');
  return keep;
}

/// The picture of a mask: 'x' is kept, '.' pruned.
inline std::vector<std::string> picture_of(const sparq::mask& keep) {
  std::vector<std::string> picture(keep.shape().n, std::string(keep.shape().k, '.'));
  for (std::size_t n = 0; n < picture.size(); ++n)
    for (std::size_t k = 0; k < picture[n].size(); ++k)
      if (keep(n, k)) picture[n][k] = 'x';
  return picture;
}

inline sparq::mask random_mask(sparq::weight_shape shape, double density, random_source& random) {
  sparq::mask keep(shape, false);
  for (std::size_t i = 0; i < shape.size(); ++i) keep.data()[i] = random.chance(density);
  return keep;
}

using slot_visit = std::tuple<std::size_t, std::size_t, std::size_t>;  // slot, n, k

/// All visits, in the order in which they are made.
template <class Index>
std::vector<slot_visit> visits_of(const Index& index) {
  std::vector<slot_visit> visits;
  for (std::size_t p = 0; p < index.panels(); ++p)
    index.for_each_slot(p, [&](std::size_t slot, std::size_t n, std::size_t k) { visits.emplace_back(slot, n, k); });
  return visits;
}

/// The elements that have a slot.
template <class Index>
sparq::mask visited_mask(const Index& index) {
  sparq::mask visited(index.shape, false);
  for (const auto& [slot, n, k] : visits_of(index)) visited.set(n, k, true);
  return visited;
}

}  // namespace sparq_test
