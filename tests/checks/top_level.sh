#!/bin/sh
# SPDX-License-Identifier: MIT
# top_level.sh <repository>: the top level holds these and dotfiles; build directories are ignored by git.
cd "$1" || exit 2

extra=$(ls | grep -Ev '^(CMakeLists\.txt|README\.md|include|tests|bench|examples|docs|single_include|LICENSE|CMakePresets\.json|build.*)$')
[ -z "$extra" ] && exit 0
echo "the top level has no place for:" $extra
exit 1
