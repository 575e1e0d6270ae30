#!/bin/sh
# SPDX-License-Identifier: MIT
# dependencies.sh <repository>: the library includes itself and the C++ standard library, never prints and starts no
# threads; what else there is has the few places listed here.
cd "$1" || exit 2

find include/sparq -name '*.hpp' | sort | xargs awk '
  function says(sentence) { print FILENAME ":" FNR ": " sentence; wrong = 1 }
  function only_in(place, what) {
    if (FILENAME !~ "^include/sparq/" place) says(what " is allowed in include/sparq/" place " only (" $0 ")")
  }

  { sub(/\/\/.*/, "") }
  /^[ \t]*#[ \t]*include[ \t]*</ {
    sub(/^[^<]*</, ""); sub(/>.*/, "")
    if (/^sparq\//) next
    else if (/^xsimd/) only_in("simd/vec.hpp", "xsimd")
    else if (/^fmt\//) only_in("tensor/print.hpp", "fmt")
    else if (/intrin\.h$/ || /^(arm_neon|arm_sve|arm_mve|arm_acle|riscv_vector|wasm_simd128|altivec)\.h$/)
      only_in("simd/", "an intrinsics header")
    else if (/^(thread|future|mutex|shared_mutex|condition_variable|omp\.h|tbb\/.*)$/)
      only_in("kernel/executor_", "threading")
    else if (/^(iostream|print|syncstream)$/) says("the library never prints (" $0 ")")
    else if (/[.\/]/) says("the library depends on the C++ standard library only (" $0 ")")
  }
  /(^|[^A-Za-z0-9_])(printf|fprintf|puts|fputs|putchar|perror)[ \t]*\(/ { says("the library never prints") }
  END { exit wrong }'
