// SPDX-License-Identifier: MIT
// Compiled twice with different instruction-set flags and linked into one program: each object has to bring its own
// copy of every function whose instructions depend on the flags.
#include <sparq/sparq.hpp>

#include <cstddef>

/// Uses one kernel of every kind and returns a number that is the same on every instruction set.
std::size_t SPARQ_ABI_PROBE() { return sparq::round_up(SPARQ_VERSION, sparq::alignment); }
