// SPDX-License-Identifier: MIT
// expect only: sparq: no way to prune to this format; specialize sparq::pruner for it
#include <sparq/compress/prune.hpp>

struct plain : sparq::dense {};

sparq::mask prune(std::span<const float> scores) { return sparq::prune<plain>(scores, {4, 4}, 0.5); }
