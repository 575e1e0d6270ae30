#!/bin/sh
# SPDX-License-Identifier: MIT
# flags.sh <repository> <compiler>: sparq.hpp compiles without a warning under flags that integrators use.
cd "$1" || exit 2
compiler=$2

warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror'
wrong=0
try() {
  if ! echo '#include <sparq/sparq.hpp>' | "$compiler" -std=c++20 -Iinclude -fsyntax-only $warnings "$@" -x c++ -; then
    echo "include/sparq/sparq.hpp: does not compile with $*"
    wrong=1
  fi
}

try -fno-exceptions -fno-rtti
try -ffast-math -DSPARQ_ALLOW_FAST_MATH
case $(uname -m) in
  x86_64)
    try -march=x86-64-v3 -fno-exceptions -fno-rtti
    try -march=x86-64-v3 -DSPARQ_NO_XSIMD
    try -march=x86-64-v3 -DSPARQ_SCALAR=1
    try -march=icelake-server -fno-exceptions -fno-rtti
    ;;
esac
exit $wrong
