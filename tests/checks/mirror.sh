#!/bin/sh
# SPDX-License-Identifier: MIT
# mirror.sh <repository>: include/sparq/x/y.hpp is tested by tests/x/y.cpp, and the other way round.
cd "$1" || exit 2

# Headers whose test is another one: the umbrella headers (consumers, headers_alone).
headers_apart='^(sparq|fwd)$'
# Tests of several headers together: the matrix of every format, numeric type and instruction set.
tests_apart='/matrix[a-z0-9_]*$'

wrong=0
for name in $(cd include/sparq && find . -name '*.hpp' | sed 's|^\./||; s|\.hpp$||' | sort | grep -Ev "$headers_apart"); do
  if [ ! -f "tests/$name.cpp" ]; then
    echo "include/sparq/$name.hpp: has no test at tests/$name.cpp"
    wrong=1
  fi
done
for layer in $(cd include/sparq && find . -mindepth 1 -maxdepth 1 -type d | sed 's|^\./||' | sort); do
  [ -d "tests/$layer" ] || continue
  for name in $(cd tests && find "$layer" -name '*.cpp' | sed 's|\.cpp$||' | sort | grep -Ev "$tests_apart"); do
    if [ ! -f "include/sparq/$name.hpp" ]; then
      echo "tests/$name.cpp: tests no header (there is no include/sparq/$name.hpp)"
      wrong=1
    fi
  done
done
exit $wrong
