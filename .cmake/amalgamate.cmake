# SPDX-License-Identifier: MIT
# cmake -D ROOT=<repository> -D OUTPUT=<file> -P amalgamate.cmake
# Writes include/sparq/sparq.hpp as one file: every #include <sparq/...> is replaced by that header's text the first
# time and dropped afterwards. The result depends on the sources alone, so a test can compare it byte by byte.
cmake_minimum_required(VERSION 3.25)

set_property(GLOBAL PROPERTY seen "")
set_property(GLOBAL PROPERTY conditional "")  # those of `seen` whose text stands inside #if

# Adds to `depth` of the caller the conditional blocks that `text` opens and does not close.
function(count_conditionals text)
  string(REGEX MATCHALL "\n[ \t]*#[ \t]*if" opened "${text}")
  string(REGEX MATCHALL "\n[ \t]*#[ \t]*endif" closed "${text}")
  list(LENGTH opened opened)
  list(LENGTH closed closed)
  math(EXPR depth "${depth} + ${opened} - ${closed}")
  set(depth ${depth} PARENT_SCOPE)
endfunction()

# Sets `expanded` of the caller to the text of `header` and of all it includes. `depth` is the number of conditional
# blocks around the #include in file `from` that leads here.
function(expand header from depth)
  set(expanded "" PARENT_SCOPE)
  get_property(seen GLOBAL PROPERTY seen)
  get_property(conditional GLOBAL PROPERTY conditional)
  if(depth EQUAL 0 AND header IN_LIST conditional)
    message(FATAL_ERROR "${from} includes ${header}, which an earlier header includes inside #if only, so that in a "
      "single file it would vanish with that condition; include it before that #if")
  elseif(header IN_LIST seen)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY seen ${header})
  if(depth GREATER 0)
    set_property(GLOBAL APPEND PROPERTY conditional ${header})
  endif()

  file(READ "${ROOT}/include/${header}" rest)
  string(REPLACE "// SPDX-License-Identifier: MIT\n" "" rest "${rest}")
  string(REPLACE "#pragma once\n" "" rest "${rest}")
  set(text "\n// ==== ${header} ====")
  set(rest "\n${rest}")
  while(rest MATCHES "\n[ \t]*#[ \t]*include <(sparq/[a-z0-9_/]+\\.hpp)>[^\n]*")
    set(line "${CMAKE_MATCH_0}")
    set(included "${CMAKE_MATCH_1}")
    string(FIND "${rest}" "${line}" at)
    string(SUBSTRING "${rest}" 0 ${at} before)
    string(LENGTH "${line}" length)
    math(EXPR at "${at} + ${length}")
    string(SUBSTRING "${rest}" ${at} -1 rest)
    count_conditionals("${before}")
    expand(${included} ${header} ${depth})
    string(APPEND text "${before}${expanded}")
  endwhile()
  set(expanded "${text}${rest}" PARENT_SCOPE)
endfunction()

expand(sparq/sparq.hpp "" 0)
string(REGEX REPLACE "\n\n\n+" "\n\n" expanded "${expanded}")
file(WRITE "${OUTPUT}" "// SPDX-License-Identifier: MIT
#pragma once
// All of sparq in one file, generated from include/sparq (cmake --build <directory> --target single_include).
${expanded}")
