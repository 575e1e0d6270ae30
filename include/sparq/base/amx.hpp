// SPDX-License-Identifier: MIT
#pragma once
// The tiles of AMX, which a program has to ask for. Linux keeps 8 KB of them for every thread that uses them, so it gives
// them to processes that ask, and sparq asks when it is told to: until then products of bytes run without.

#include <sparq/base/config.hpp>
#include <sparq/base/error.hpp>

#include <atomic>
#include <string>
#include <system_error>

namespace sparq {

namespace detail {

/// One for the whole program, whatever its translation units are compiled for.
inline std::atomic<bool> amx_is_used{false};

/// Asks Linux for the tiles of this process, threads to come included.
inline status ask_for_amx_tiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr long arch_prctl = 158, request_permission = 0x1023, tile_data = 18;
  long answer = arch_prctl;
  __asm__ volatile("syscall" : "+a"(answer) : "D"(request_permission), "S"(tile_data) : "rcx", "r11", "memory");
  if (answer == 0) return {};
  return status::failure("the operating system gives this process no AMX tiles: " +
                         std::generic_category().message(static_cast<int>(-answer)));
#else
  return status::failure("AMX tiles are asked for on Linux only");
#endif
}

}  // namespace detail

SPARQ_ABI_BEGIN

/// From now on products of bytes run in the tiles of AMX, in all threads, where X has 16 rows and more and the channels of
/// a panel share their k's: dense, tile_wise, and tile_n_m where X is compacted; of scales along k only those of dense for
/// a multiple of 64 k's. Their sums are the same, bit for bit; what the calling thread kept in its tiles is lost.
///
/// Call it when nothing multiplies. Plans made and workspaces measured before do not reckon with it.
///
/// Fails, and changes nothing, where the caller is compiled without AMX (-mamx-tile -mamx-int8, or -march=native on a CPU
/// that has it), or the operating system gives no tiles; only Linux is asked.
inline status try_use_amx() {
  if (!SPARQ_HAS_AMX_INT8)
    return status::failure("this code is compiled without AMX tiles; add -mamx-tile -mamx-int8 to AVX-512 with VNNI");
  status asked = detail::ask_for_amx_tiles();
  if (asked) detail::amx_is_used.store(true, std::memory_order_relaxed);
  return asked;
}
/// The same; raises what is wrong.
inline void use_amx() { try_use_amx().value(); }

/// Products begin without tiles from now on. The operating system takes nothing back.
inline void stop_using_amx() { detail::amx_is_used.store(false, std::memory_order_relaxed); }

/// Whether products that begin now use tiles.
inline bool uses_amx() { return SPARQ_HAS_AMX_INT8 && detail::amx_is_used.load(std::memory_order_relaxed); }

SPARQ_ABI_END
}  // namespace sparq
