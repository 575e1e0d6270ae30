#!/bin/sh
# SPDX-License-Identifier: MIT
# umbrella.sh <repository>: sparq.hpp includes every public header but those listed here.
cd "$1/include" || exit 2

# print needs fmt, io opens files, any_tensor names every combination, testing is for test programs, the executor adapters
# need a thread library, measuring needs <chrono>, fwd is for those who include less than everything.
apart='^sparq/(sparq|fwd|tensor/print|tensor/any_tensor|io/.*|testing/.*|kernel/executor_.*|plan/(best_seconds|measure_loops))\.hpp$'

wrong=0
for header in $(find sparq -name '*.hpp' | sort | grep -Ev "$apart"); do
  if ! grep -q "^#include <$header>" sparq/sparq.hpp; then
    echo "include/sparq/sparq.hpp: does not include $header"
    wrong=1
  fi
done
for header in $(sed -n 's/^#include <\(sparq\/.*\)>.*/\1/p' sparq/sparq.hpp | grep -E "$apart"); do
  echo "include/sparq/sparq.hpp: must not include $header"
  wrong=1
done
exit $wrong
