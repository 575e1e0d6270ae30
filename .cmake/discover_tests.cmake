# SPDX-License-Identifier: MIT
# cmake -D PROGRAM=<file> -D LIST=<options> -D PREFIX=<text> -D EXTRA=<options> -D OUTPUT=<file> -P discover_tests.cmake
# Asks a Catch2 program for its test cases and writes OUTPUT, which adds each of them to ctest as PREFIX + its name; who
# includes OUTPUT sets SPARQ_TEST_DATA. Catch2's own script breaks at names with a semicolon, and ours are sentences.
cmake_minimum_required(VERSION 3.25)

separate_arguments(LIST UNIX_COMMAND "${LIST}")
execute_process(COMMAND ${PROGRAM} ${LIST} OUTPUT_VARIABLE names RESULT_VARIABLE result)
if(NOT names OR result LESS 0)
  message(FATAL_ERROR "${PROGRAM} ${LIST} lists no tests and ends with ${result}")
endif()

# Characters that would end or join the elements of a CMake list.
string(REPLACE ";" "<semicolon>" names "${names}")
string(REPLACE "[" "<bracket>" names "${names}")
string(REPLACE "]" "<end bracket>" names "${names}")
string(REGEX REPLACE "\n$" "" names "${names}")
string(REPLACE "\n" ";" names "${names}")

set(script "")
foreach(name IN LISTS names)
  string(REPLACE "<semicolon>" ";" name "${name}")
  string(REPLACE "<bracket>" "[" name "${name}")
  string(REPLACE "<end bracket>" "]" name "${name}")
  string(REGEX REPLACE "[],\\[]" "\\\\\\0" pattern "${name}")  # what Catch2 would not take literally
  string(APPEND script "
add_test([==[${PREFIX}${name}]==] [==[${PROGRAM}]==] [==[${pattern}]==] ${EXTRA})
set_tests_properties([==[${PREFIX}${name}]==] PROPERTIES
  SKIP_REGULAR_EXPRESSION [==[skipped: ]==] ENVIRONMENT \"SPARQ_TEST_DATA=\${SPARQ_TEST_DATA}\")")
endforeach()
file(WRITE "${OUTPUT}" "${script}\n")
