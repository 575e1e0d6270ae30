#!/bin/sh
# SPDX-License-Identifier: MIT
# self_test.sh <repository> <compiler>: a small tree passes every check, and each fault put into it is found.
repository=$1 compiler=$2
checks=$repository/tests/checks
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
wrong=0

header() {  # <name> <lines>...: a header of the small tree
  name=$1
  shift
  mkdir -p "$(dirname "include/sparq/$name")"
  printf '%s\n' '// SPDX-License-Identifier: MIT' '#pragma once' "$@" > "include/sparq/$name"
}

small_tree() {
  rm -rf "$scratch/tree"
  mkdir -p "$scratch/tree/tests/base" "$scratch/tree/tests/simd"
  cd "$scratch/tree" || exit 2
  header base/math.hpp 'static_assert(sizeof(int) == 4, "sparq: int has 4 bytes; use another compiler");'
  header simd/vec.hpp '#include <cstddef>' '#include <sparq/base/math.hpp>'
  header sparq.hpp '#include <sparq/base/math.hpp>' '#include <sparq/simd/vec.hpp>'
  echo '// SPDX-License-Identifier: MIT' | tee tests/base/math.cpp > tests/simd/vec.cpp
  mkdir -p docs/decisions examples tests/support/emulated
  printf '%s\n' '// SPDX-License-Identifier: MIT' '#pragma once' '#define _mm512_or_ps or_ps' > tests/support/emulated/immintrin.h
  printf '%s\n' '# Types' '## Words of 32 bits' > docs/decisions/types.md
  echo '[words](decisions/types.md#words-of-32-bits)' > docs/decisions.md
  printf '%s\n' '```sh' '.ci/setup explore' '.ci/setup test' '```' '```cpp' '  int layer;' '```' > README.md
  printf '%s\n' '// SPDX-License-Identifier: MIT' '//! [layer]' '  int layer;' '//! [layer]' > examples/quick_start.cpp
}

expect() {  # <check> <fault>...: the check finds the fault that the command makes
  check=$1
  shift
  small_tree
  if ! output=$(sh "$checks/$check.sh" "$scratch/tree" "$compiler" 2>&1); then
    echo "$check finds a fault in a tree without one: $output"
    wrong=1
  fi
  small_tree
  "$@"
  if sh "$checks/$check.sh" "$scratch/tree" "$compiler" > /dev/null 2>&1; then
    echo "$check does not find: $*"
    wrong=1
  fi
}

append() { printf '%s\n' "$2" >> "$1"; }
many_lines() { yes '//' | head -n 600 >> include/sparq/base/math.hpp; }

math=include/sparq/base/math.hpp
expect layering append $math '#include <sparq/simd/vec.hpp>'
expect layering append $math '#include "vec.hpp"'
expect layering append $math '#include <sparq/sparq.hpp>'
expect layering header unknown/thing.hpp ''
expect dependencies append $math '#include <xsimd/xsimd.hpp>'
expect dependencies append $math '#include <fmt/core.h>'
expect dependencies append $math '#  include <immintrin.h>'
expect dependencies append $math '#include <iostream>'
expect dependencies append $math '#include <thread>'
expect dependencies append $math '#include <sys/mman.h>'
expect dependencies append $math 'inline void f() { std::printf("x"); }'
expect emulated append $math 'inline auto f(__m512 a) { return _mm512_or_ps(a, _mm512_and_ps(a, a)); }'
expect links append docs/decisions.md '[no page](pages.md)'
expect links append docs/decisions.md '[no heading](decisions/types.md#words)'
expect links append docs/decisions/types.md '## Not listed'
expect links append docs/decisions/types.md 'broken](types.md)'
expect links append docs/decisions/types.md 'Words are in `tensor/words.hpp`.'
expect links append $math '// as in simd/words.hpp'
expect readme sed -i s/explore/measure/ README.md
expect readme sed -i s/layer\;/layers\;/ examples/quick_start.cpp
expect umbrella header base/memory.hpp ''
expect umbrella append include/sparq/sparq.hpp '#include <sparq/fwd.hpp>'
expect mirror header base/memory.hpp ''
expect mirror append tests/base/memory.cpp ''
expect names touch include/sparq/base/Memory.hpp
expect names touch include/sparq/base/math_utils.hpp
expect files append tests/base/other.cpp 'int main() {}'
expect files sed -i 2d $math
expect files append $math "// see $HOME/notes or /t""mp/notes"
expect files append $math '// TO''DO'
expect files many_lines
expect top_level touch notes.txt
expect static_asserts append $math 'static_assert(1 == (1));'
expect static_asserts append $math 'static_assert(f(")sparq: ") ==
  1, "an integer");'
expect headers_alone append $math 'std::size_t f();'
expect headers_alone append $math 'inline int f(long x) { return x; }'
expect flags append $math 'inline void f() { throw 1; }'
expect include_time append $math 'int f() { return x; }'

# compile_fail: a source that compiles, one that says something else, one without a sentence.
small_tree
expect_error() { sh "$repository/tests/compile_fail/expect_error.sh" "$scratch/tree" "$compiler" source.cpp > /dev/null 2>&1; }
printf '%s\n' '// expect: sparq: no' 'static_assert(false, "sparq: no");' > source.cpp
expect_error || { echo 'compile_fail refuses a source that says its sentence'; wrong=1; }
printf '%s\n' '// expect: sparq: no' 'static_assert(true, "sparq: no");' > source.cpp
expect_error && { echo 'compile_fail accepts a source that compiles'; wrong=1; }
printf '%s\n' '// expect: sparq: no' 'static_assert(false, "sparq: yes");' > source.cpp
expect_error && { echo 'compile_fail accepts another sentence'; wrong=1; }
printf '%s\n' '// expect only: sparq: no' 'static_assert(false, "sparq: no");' > source.cpp
expect_error || { echo 'compile_fail refuses a source that says nothing but its sentence'; wrong=1; }
printf '%s\n' '// expect only: sparq: no' 'static_assert(false, "sparq: no");' 'int i = no;' > source.cpp
expect_error && { echo 'compile_fail accepts another error beside the only sentence'; wrong=1; }
printf '%s\n' 'static_assert(false, "sparq: no");' > source.cpp
expect_error && { echo 'compile_fail accepts a source without a sentence'; wrong=1; }

exit $wrong
