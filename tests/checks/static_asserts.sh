#!/bin/sh
# SPDX-License-Identifier: MIT
# static_asserts.sh <repository>: every static_assert of the library says "sparq: <what is wrong>; <what to do>".
cd "$1" || exit 2

find include/sparq -name '*.hpp' | sort | xargs awk '
  function check(  rest, start, lines, depth, i, c, quoted, texts) {
    rest = text
    while (match(rest, /(^|[^A-Za-z0-9_])static_assert[ \t\n]*\(/)) {
      start = RSTART + RLENGTH
      consumed = consumed substr(rest, 1, start - 1)
      rest = substr(rest, start)
      depth = 1; quoted = 0; texts = ""
      for (i = 1; depth > 0 && i <= length(rest); ++i) {
        c = substr(rest, i, 1)
        if (quoted && c == "\\") { ++i; continue }
        if (c == "\"") { quoted = !quoted; if (quoted) texts = texts substr(rest, i, 8) }
        else if (!quoted && c == "(") ++depth
        else if (!quoted && c == ")") --depth
      }
      if (texts !~ /"sparq: /) {
        lines = gsub(/\n/, "\n", consumed)
        print name ":" lines + 1 ": static_assert without a sentence that starts with \"sparq: \""
        wrong = 1
      }
    }
  }
  FNR == 1 { check(); text = ""; consumed = ""; name = FILENAME }
  { line = $0; sub(/\/\/.*/, "", line); text = text line "\n" }
  END { check(); exit wrong }'
