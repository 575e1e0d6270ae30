#!/bin/sh
# SPDX-License-Identifier: MIT
# headers_alone.sh <repository> <compiler>: every header compiles as the only one, twice included, without a warning.
cd "$1/include" || exit 2
compiler=$2

flags='-std=c++20 -I. -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror'

# The adapter for OpenMP needs a compiler that has it.
adapter=sparq/kernel/executor_openmp.hpp
without=
if echo '#include <omp.h>' | "$compiler" -fopenmp -fsyntax-only -x c++ - 2> /dev/null; then
  flags="$flags -fopenmp"
elif [ -f $adapter ]; then
  echo "include/$adapter: left out, for $compiler has no OpenMP"
  without=$adapter
fi

find sparq -name '*.hpp' ! -path "$without" | sort | xargs -P "$(nproc)" -I HEADER sh -c "
  printf '#include <HEADER>\n#include <HEADER>\n' | $compiler $flags -x c++ - 2>&1 || {
    echo 'include/HEADER: does not compile alone'
    exit 1
  }"
