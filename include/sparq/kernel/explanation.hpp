// SPDX-License-Identifier: MIT
#pragma once
// What a call will do, in words: which atom, which loop, which blocks, how X and W are laid out. Nothing is chosen
// behind the caller's back.

#include <cstddef>
#include <string>

namespace sparq {

/// The kernel that a call runs.
struct explanation {
  std::string atom;                 // one multiply-add, e.g. dot4_u8s8_avx2
  std::string isa;                  // what the translation unit is compiled for
  std::string loop;                 // e.g. rows
  std::string weights;              // layout of the packed weights
  std::string x_access;             // how rows of X reach the atom
  std::size_t block_rows = 0;       // rows of X whose sums are in registers
  std::size_t block_channels = 0;   // output channels beside them
  std::size_t cached_rows = 0;      // rows of X that are packed together
  std::size_t parts = 0;            // into which the executor's work is cut
  std::size_t workspace_bytes = 0;  // of scratch, all parts together
  std::size_t least_workspace_bytes = 0;  // with which the call makes do, taking fewer rows of X at a time
  std::string advice = {};          // of the plan, if it has any
};

/// One line.
inline std::string to_string(const explanation& e) {
  return e.atom + " (" + e.isa + "), loop " + e.loop + ", block " + std::to_string(e.block_rows) + " x " +
         std::to_string(e.block_channels) + ", weights " + e.weights + ", X " + e.x_access + " in blocks of " +
         std::to_string(e.cached_rows) + " rows, " + std::to_string(e.parts) + " part" + (e.parts == 1 ? "" : "s") +
         ", " + std::to_string(e.workspace_bytes) + " bytes of workspace" + (e.advice.empty() ? "" : "; " + e.advice);
}

}  // namespace sparq
