# SPDX-License-Identifier: MIT
# What tests, examples and benchmarks share: how they are compiled, and how a missing package is reported.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceRuns)

add_library(sparq_program INTERFACE)
target_link_libraries(sparq_program INTERFACE sparq::sparq)
target_compile_options(sparq_program INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef $<$<BOOL:${SPARQ_WERROR}>:-Werror>)
set(CMAKE_CXX_EXTENSIONS OFF)
# Builds for checking: gcc collects its garbage not before a gigabyte, which is 6 % of its time.
target_compile_options(sparq_program INTERFACE
  "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Debug>>:SHELL:--param=ggc-min-heapsize=1000000>")

# sparq_require(<package> <Debian package> <who needs it> <option that switches them off> [version])
macro(sparq_require package debian_package who option)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} ${ARGN} is missing and ${who} need it: "
      "apt-get install ${debian_package} (or -D${option}=OFF)")
  endif()
endmacro()

# sparq_instruction_set(<target> <flags>...) compiles <target> with instruction-set flags.
# gcc 12 sees uninitialised values inside its own AVX-512 intrinsics, so those two warnings are off there.
function(sparq_instruction_set target)
  target_compile_options(${target} INTERFACE ${ARGN}
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-maybe-uninitialized>
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-uninitialized>)
endfunction()

# For programs with many kernels that builds for checking (not those for measuring) hardly run: half the time to compile.
add_library(sparq_unoptimized INTERFACE)
target_compile_options(sparq_unoptimized INTERFACE "$<$<CONFIG:Debug>:-O0;-g0>")

# Programs that measure this very machine link sparq_native.
add_library(sparq_native INTERFACE)
check_cxx_compiler_flag(-march=native SPARQ_COMPILER_HAS_NATIVE)
if(SPARQ_COMPILER_HAS_NATIVE)
  sparq_instruction_set(sparq_native -march=native)
endif()

# Files compiled as one share headers and kernels. Builds for checking only: what is measured is compiled file by file.
function(sparq_check_in_batches target files)
  if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${files})
  endif()
endfunction()
