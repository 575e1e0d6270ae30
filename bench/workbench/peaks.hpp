// SPDX-License-Identifier: MIT
#pragma once
// What this core can do at most: the denominators of every fraction that a report states.

#include <cstddef>

namespace workbench {

/// Multiply-adds of one atom with operands in registers, nothing else.
struct peak_kernel {
  void (*run)();
  double macs;  // of one call, some 100 microseconds
};
/// The atom that multiplies u8 by s8.
peak_kernel dot_kernel();
/// The atom of f32.
peak_kernel fma_kernel();
/// The atom that counts bits of binary times binary.
peak_kernel popcount_kernel();
/// 10^9 multiply-adds a second, one thread.
double gmacs(const peak_kernel& kernel);
/// 10^9 bytes a second, one thread reading `bytes` of memory over and over, in four streams.
double read_bandwidth(std::size_t bytes);

}  // namespace workbench
