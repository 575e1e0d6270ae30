#!/bin/sh
# SPDX-License-Identifier: MIT
# emulated.sh <repository>: the tests can emulate every AVX-512 instruction that the library names. A machine that has
# them compiles few of the tests that do. What stands behind SPARQ_HAS_XSIMD never meets the emulation.
cd "$1" || exit 2

emulation=tests/support/emulated/immintrin.h
find include/sparq -name '*.hpp' | sort | xargs awk -v emulation=$emulation '
  BEGIN {
    while ((getline line < emulation) > 0)
      if (match(line, /^#define _mm512_[a-z0-9_]+/)) known[substr(line, 9, RLENGTH - 8)] = 1
  }
  FNR == 1 { depth = 0 }
  /^#if/ { left_out[++depth] = left_out[depth - 1] }
  /^#el/ { left_out[depth] = left_out[depth - 1] }
  /^#(if|elif) .*SPARQ_HAS_XSIMD/ { left_out[depth] = 1 }
  /^#endif/ { --depth }
  !left_out[depth] {
    rest = $0
    sub(/\/\/.*/, "", rest)
    while (match(rest, /_mm512_[a-z0-9_]+/)) {
      name = substr(rest, RSTART, RLENGTH)
      rest = substr(rest, RSTART + RLENGTH)
      if (name in known) continue
      print FILENAME ":" FNR ": " name " is not in " emulation
      wrong = 1
    }
  }
  END { exit wrong }'
