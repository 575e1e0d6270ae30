// SPDX-License-Identifier: MIT
#pragma once
// Who runs the parts of an operation. The library starts no threads: an executor is an argument, and no result depends
// on which one.

#include <concepts>
#include <cstddef>

namespace sparq {

/// `concurrency()`: into how many parts to cut the work, at least 1.
/// `parallel_for(parts, f)`: calls f(0) .. f(parts - 1), once each, in any order or at the same time, and returns when
/// all are done. f does not throw.
template <class E>
concept executor = requires(E& e, void (*f)(std::size_t)) {
  { e.concurrency() } -> std::convertible_to<std::size_t>;
  e.parallel_for(std::size_t{1}, f);
};

/// Runs everything in the calling thread.
struct serial_executor {
  static constexpr std::size_t concurrency() { return 1; }
  template <class F>
  static void parallel_for(std::size_t parts, F&& f) {
    for (std::size_t part = 0; part < parts; ++part) f(part);
  }
};
inline constexpr serial_executor serial{};

/// Its concurrency, whichever type it counts in.
template <class Executor>
constexpr std::size_t concurrency_of(Executor& executor) {
  return static_cast<std::size_t>(executor.concurrency());
}

}  // namespace sparq
