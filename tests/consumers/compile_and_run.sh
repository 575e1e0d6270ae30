#!/bin/sh
# SPDX-License-Identifier: MIT
# compile_and_run.sh <compiler> <folder of the program> <executable> <command that prints flags>
set -e
flags=$($4)
"$1" -std=c++20 -O1 $flags "$2"/main.cpp "$2"/second.cpp -o "$3"
exec "$3"
