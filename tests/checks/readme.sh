#!/bin/sh
# SPDX-License-Identifier: MIT
# readme.sh <repository>: the README's first code block is how to start, and its C++ is a region of a compiled example.
cd "$1" || exit 2

block() { awk -v open="$1" '$0 == open && !done { inside = 1; next } inside && /^```/ { inside = 0; done = 1 } inside' README.md; }

wrong=0
first=$(awk '/^```/ { print; exit }' README.md)
if [ "$(block "$first")" != "$(printf '.ci/setup explore\n.ci/setup test')" ]; then
  echo "README.md: the first code block is not the two lines .ci/setup explore and .ci/setup test"
  wrong=1
fi
region=$(awk '/\/\/! \[layer\]/ { inside = !inside } inside && !/\/\/! \[/' examples/quick_start.cpp)
if [ "$(block '```cpp')" != "$region" ]; then
  echo "README.md: its first C++ is not the region [layer] of examples/quick_start.cpp, which is:"
  echo "$region"
  wrong=1
fi
exit $wrong
