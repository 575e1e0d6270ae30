// SPDX-License-Identifier: MIT
#pragma once
// What this core can do at most: the denominators of every fraction that a report states.

#include <sparq/base/memory.hpp>

#include <cstddef>

namespace workbench {

/// Multiply-adds of one atom with operands in registers, nothing else.
struct peak_kernel {
  void (*run)();
  double macs;  // of one call, some 100 microseconds
};
/// The atom that multiplies u8 by s8; tiles by tiles while the program uses AMX.
peak_kernel dot_kernel();
/// The atom of f32.
peak_kernel fma_kernel();
/// The atom of pairs of bf16.
peak_kernel bf16_kernel();
/// The atom that counts bits of binary times binary.
peak_kernel popcount_kernel();
/// 10^9 multiply-adds a second, one thread.
double gmacs(const peak_kernel& kernel);
/// Reads its memory over and over, in four streams: one alone does not fill the bus.
class reader {
 public:
  explicit reader(std::size_t bytes);
  void run();
  double bytes() const;  // of one run, which is long enough for the clock

 private:
  sparq::aligned_buffer buffer_;
  std::size_t stream_;  // vectors of 64 bytes in each
  std::size_t passes_;
};
/// 10^9 bytes a second, of a reader of `bytes`.
double read_bandwidth(std::size_t bytes);

}  // namespace workbench
