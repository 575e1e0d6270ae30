# SPDX-License-Identifier: MIT
# cmake -D ROOT=<repository> -D OUTPUT=<scratch file> -P single_include.cmake
# Fails when single_include/sparq/sparq.hpp is not what the generator makes of include/.
include(${ROOT}/.cmake/amalgamate.cmake)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${OUTPUT} ${ROOT}/single_include/sparq/sparq.hpp
  RESULT_VARIABLE different ERROR_QUIET)
if(different)
  message(FATAL_ERROR "single_include/sparq/sparq.hpp is stale: cmake --build <directory> --target single_include")
endif()
