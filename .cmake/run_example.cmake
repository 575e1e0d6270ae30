# SPDX-License-Identifier: MIT
# cmake -D PROGRAM=<file> -D EXPECTED=<file> -P run_example.cmake
# Runs an example; if EXPECTED exists, what the example prints has to be equal to it.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result} after printing:\n${printed}")
endif()
if(EXISTS ${EXPECTED})
  file(READ ${EXPECTED} expected)
  if(NOT printed STREQUAL expected)
    message(FATAL_ERROR "the output is not the one in ${EXPECTED}; it is:\n${printed}")
  endif()
endif()
