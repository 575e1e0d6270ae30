// SPDX-License-Identifier: MIT
#pragma once
// An executor on the threads of OpenMP, for programs that use OpenMP already. Optional: nothing in the library includes
// it. In a parallel region of the caller OpenMP runs the parts in the calling thread, unless nesting is switched on.

#ifndef _OPENMP
#error "sparq: kernel/executor_openmp.hpp needs OpenMP; compile with -fopenmp (CMake: link OpenMP::OpenMP_CXX)"
#else

#include <omp.h>

#include <cstddef>

namespace sparq {

/// Cuts work into as many parts as it has threads; parts are handed out one by one, to whoever is free. See
/// kernel/executor.hpp.
class openmp_executor {
 public:
  /// As many threads as OpenMP would use in a parallel region now.
  openmp_executor() : openmp_executor(omp_get_max_threads()) {}
  /// At most `threads` threads; less than 1 counts as 1.
  explicit openmp_executor(int threads) : threads_(threads < 1 ? 1 : threads) {}

  std::size_t concurrency() const { return static_cast<std::size_t>(threads_); }

  /// Calls f(0) .. f(parts - 1). @pre f does not throw
  template <class F>
  void parallel_for(std::size_t parts, F&& f) const {
    if (parts <= 1 || threads_ == 1) {
      for (std::size_t part = 0; part < parts; ++part) f(part);
      return;
    }
    const auto end = static_cast<std::ptrdiff_t>(parts);
#pragma omp parallel for num_threads(threads_) schedule(dynamic, 1)
    for (std::ptrdiff_t part = 0; part < end; ++part) f(static_cast<std::size_t>(part));
  }

 private:
  int threads_;
};

}  // namespace sparq

#endif
