# SPDX-License-Identifier: MIT
# cmake -D ROOT=<repository> -D OUTPUT=<folder> -D PROJECT_VERSION=<x.y.z> [-D ONLY_CHECK=ON] -P run_doxygen.cmake
# Writes the documentation to OUTPUT/html; ONLY_CHECK writes no pages, which takes a tenth of the time. Whatever doxygen warns of fails, with one exception: members, nested classes
# and specialisations may go without a sentence of their own when name and signature say everything.
cmake_minimum_required(VERSION 3.25)

set(packages "doxygen graphviz doxygen-awesome-css libjs-mathjax")
find_program(doxygen doxygen)
if(NOT doxygen)
  message(FATAL_ERROR "doxygen is missing and the documentation needs it: apt-get install ${packages}")
endif()

# Without dot there are no graphs, without the style sheets the pages look plain, without MathJax formulas show as TeX.
find_program(dot dot)
find_path(awesome doxygen-awesome.css PATHS /usr/share/doxygen-awesome-css)
find_path(mathjax MathJax.js PATHS /usr/share/javascript/mathjax)
if(NOT ONLY_CHECK AND NOT (dot AND awesome AND mathjax))
  message(STATUS "The pages look better with apt-get install ${packages}")
endif()
set(write_html YES)
set(write_xml NO)
set(have_dot NO)
if(ONLY_CHECK)
  set(write_html NO)
  set(write_xml YES)
elseif(dot)
  set(have_dot YES)
endif()
set(style_sheets "")
if(awesome)
  set(style_sheets "${awesome}/doxygen-awesome.css ${awesome}/doxygen-awesome-sidebar-only.css ${ROOT}/docs/tables.css")
endif()

configure_file(${ROOT}/docs/Doxyfile.in ${OUTPUT}/Doxyfile @ONLY)
execute_process(COMMAND ${doxygen} ${OUTPUT}/Doxyfile WORKING_DIRECTORY ${ROOT}
  RESULT_VARIABLE result ERROR_VARIABLE warnings)
if(write_html AND mathjax)
  file(CREATE_LINK ${mathjax} ${OUTPUT}/html/mathjax SYMBOLIC)
endif()

foreach(covered IN ITEMS "Member [^\n]* of (class|struct|union) [^\n]*" "Compound sparq::[^\n]*(::|<)[^\n]*")
  string(REGEX REPLACE "[^\n]*: warning: ${covered} is not documented\\.\n" "" warnings "${warnings}")
endforeach()
if(NOT result EQUAL 0 OR NOT warnings STREQUAL "")
  message(NOTICE "${warnings}")
  message(FATAL_ERROR "doxygen warns of the above")
endif()
if(write_html)
  message(STATUS "The documentation is at ${OUTPUT}/html/index.html")
endif()
