#!/bin/sh
# SPDX-License-Identifier: MIT
# names.sh <repository>: files and folders are snake_case and free of words that say nothing.
cd "$1" || exit 2

find include tests bench examples docs single_include .cmake .ci 2>/dev/null | sort | awk -F/ '
  function says(sentence) { print $0 ": " sentence; wrong = 1 }
  {
    name = $NF
    if (name ~ /^(CMakeLists\.txt|README\.md|Doxyfile\.in|sparqConfig\.cmake\.in|\.cmake|\.ci)$/) next
    if (name !~ /^[a-z0-9_]+(\.[a-z0-9_]+)*$/) says("names are snake_case: a-z, 0-9 and _")
    if (("_" name) ~ /[_.](fast|opt|v2|new|impl|helper|helpers|util|utils)([_.]|$)/) says("names no thing by its purpose")
  }
  END { exit wrong }'
