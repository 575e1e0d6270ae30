#!/bin/sh
# SPDX-License-Identifier: MIT
# include_time.sh <repository> <compiler>: prints the seconds of processor time that including each part costs, and
# fails at a quarter above the budget. Budgets are for a machine of its own that compiles the standard headers below in
# 0.50 s; where these take longer, on a slower machine or beside other programs, budgets grow as much.
cd "$1/include" || exit 2
compiler=$2

# It names every tensor that comes with the library: who includes it asks for all of them.
any_tensor=sparq/tensor/any_tensor.hpp
wrong=0
seconds() {  # <flags> <header>...
  flags=$1
  shift
  # The last line of `times` is what the children of the inner shell used: the compiler alone.
  printf '#include <%s>\n' "$@" | sh -c "$compiler -std=c++20 -I. -fsyntax-only $flags -x c++ - && times" |
    awk 'NR == 2 { split($1, u, /[ms]/); split($2, s, /[ms]/); print 60 * (u[1] + s[1]) + u[2] + s[2] }'
}
measure() {  # <name> <budget in seconds> <flags> <header>...
  name=$1 budget=$2
  shift 2
  took=$(seconds "$@")
  if [ -z "$took" ]; then
    echo "$name does not compile"
    wrong=1
    return
  fi
  standard=0
  if awk "BEGIN { exit !($took > $budget) }"; then  # is it the header or the machine?
    standard=$(seconds "" algorithm string vector)
    again=$(seconds "$@")
    took=$(awk "BEGIN { print $again < $took ? $again : $took }")
  fi
  awk -v name="$name" -v budget="$budget" -v standard="$standard" -v took="$took" 'BEGIN {
    slower = standard > 0.50 ? standard / 0.50 : 1
    printf "%-10s %5.2f s of %.1f s%s%s\n", name, took, budget,
           (slower > 1.05 ? sprintf(", on a machine %.1f times slower", slower) : ""),
           (took > budget * slower ? "  over budget" : "")
    exit (took > 1.25 * budget * slower)
  }' || wrong=1
}

for layer in base numeric format tensor; do
  headers=$(find sparq/$layer -name '*.hpp' ! -path sparq/tensor/print.hpp ! -path $any_tensor 2>/dev/null | sort)
  [ -n "$headers" ] && measure "$layer" 1 "" $headers
done
flags=
[ "$(uname -m)" = x86_64 ] && flags=-march=x86-64-v3
[ -e $any_tensor ] && measure any_tensor 3.5 "" $any_tensor
measure sparq.hpp 3.5 "$flags" sparq/sparq.hpp
exit $wrong
