// SPDX-License-Identifier: MIT
// The second translation unit: a function of the library that is not inline would be defined twice.
#include <sparq/sparq.hpp>

#include <cstddef>

std::size_t aligned_size(std::size_t size) { return sparq::round_up(size, sparq::alignment); }
