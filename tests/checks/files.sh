#!/bin/sh
# SPDX-License-Identifier: MIT
# files.sh <repository>: licence line, #pragma once, length, and nothing that belongs to one machine or one day.
cd "$1" || exit 2

files=$(find . \( -name .git -o -path './build*' -o -name .cache \) -prune -o -type f -print | sed 's|^\./||' | sort)

echo "$files" | xargs awk '
  function says(line, sentence) { print FILENAME ":" line ": " sentence; wrong = 1 }
  function close_file() {
    if (count > 600 && previous !~ /^single_include\// && previous ~ /\.(hpp|cpp)$/) {
      print previous ": " count " lines; 600 is the limit, split it by theme"
      wrong = 1
    }
  }
  FNR == 1 {
    close_file()
    previous = FILENAME
    licensed = FILENAME ~ /(\.(hpp|cpp|sh|cmake|in)|CMakeLists\.txt)$/ || FILENAME ~ /^\.ci\//
    licence_line = /^#!/ ? 2 : 1
  }
  { count = FNR }
  licensed && FNR == licence_line && !/^(\/\/|#) SPDX-License-Identifier: MIT$/ {
    says(FNR, "the licence line is missing: SPDX-License-Identifier: MIT")
  }
  FNR == 2 && FILENAME ~ /\.hpp$/ && !/^#pragma once$/ { says(2, "#pragma once comes right after the licence line") }
  /(^|[^A-Za-z0-9._-])\/(tmp|work|home|root)\// { says(FNR, "a path of one machine") }
  FILENAME ~ /\.(hpp|cpp|cmake|txt|md|in|sh)$/ && /(^|[^A-Za-z_])(TO[D]O|FIX[M]E|X[X]X|HAC[K]|not imple[m]ented|for no[w])([^A-Za-z_]|$)/ {
    says(FNR, "a mark of unfinished work")
  }
  END { close_file(); exit wrong }'
