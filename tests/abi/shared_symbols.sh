#!/bin/sh
# SPDX-License-Identifier: MIT
# shared_symbols.sh <nm> <object> <object>: fails if both objects define one function or variable that comes from a
# header of simd, kernel, op or plan. The linker keeps one of the two, and the program would run instructions that its
# caller's processor may not have. Data types (scratch memory and who runs the parts are such), std:: and xsimd's own
# functions may be shared.
nm=$1 first=$2 second=$3

# Lines of one object suffice; nm takes 1 to 2 ms for each.
{ "$nm" -C -l --defined-only "$first" && echo "==" && "$nm" -C --defined-only "$second"; } | awk -F '\t' '
  /^==$/ { second = 1; next }
  {
    kind = substr($1, 18, 1)
    symbol = substr($1, 20)
    if (kind !~ /[WVu]/ || symbol == "") next
    if (!second) { place[symbol] = $2; ++seen; if ($2 ~ /include\/sparq\//) ++ours }
    else if (symbol in place && place[symbol] ~ /include\/sparq\/(simd|kernel|op|plan)\// &&
             place[symbol] !~ /kernel\/(workspace|executor)\.hpp/) {
      print place[symbol] ": " symbol " is shared; it belongs between SPARQ_ABI_BEGIN and SPARQ_ABI_END"
      wrong = 1
    }
  }
  END {
    if (!ours) { print "the first object shows no function of sparq with its line"; exit 1 }
    print seen " functions compared, " ours " of them of sparq"
    exit wrong
  }'
