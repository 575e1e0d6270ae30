// SPDX-License-Identifier: MIT
#pragma once
// What this core can do at most: the denominators of every fraction that a report states.

#include <cstddef>

namespace workbench {

/// 10^9 multiply-adds a second of the atom that multiplies u8 by s8, operands in registers, one thread.
double dot_peak();
/// The same for f32.
double fma_peak();
/// 10^9 bytes a second, one thread reading `bytes` of memory over and over.
double read_bandwidth(std::size_t bytes);

}  // namespace workbench
