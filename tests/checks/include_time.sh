#!/bin/sh
# SPDX-License-Identifier: MIT
# include_time.sh <repository> <compiler>: prints the seconds of processor time that including each part costs, and
# fails at twice the budget: a machine under load or a slower one is no reason, a heavy include is.
cd "$1/include" || exit 2
compiler=$2

# It instantiates every tensor that comes with the library: who includes it asks for all of them.
any_tensor=sparq/tensor/any_tensor.hpp
wrong=0
measure() {  # <name> <budget in seconds> <flags> <header>...
  name=$1 budget=$2 flags=$3
  shift 3
  # The last line of `times` is what the children of the inner shell used: the compiler alone.
  printf '#include <%s>\n' "$@" | sh -c "$compiler -std=c++20 -I. -fsyntax-only $flags -x c++ - && times" |
    awk -v name="$name" -v budget="$budget" '
      { in_user = $1; in_system = $2 }
      END {
        if (NR != 2) { print name " does not compile"; exit 1 }
        split(in_user, u, /[ms]/); split(in_system, s, /[ms]/)
        seconds = 60 * (u[1] + s[1]) + u[2] + s[2]
        printf "%-10s %5.2f s of %.1f s%s\n", name, seconds, budget, (seconds > budget ? "  over budget" : "")
        exit (seconds > 2 * budget)
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
