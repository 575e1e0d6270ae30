#!/bin/sh
# SPDX-License-Identifier: MIT
# layering.sh <repository>: the arrows between the folders of include/sparq point down only.
cd "$1" || exit 2

find include/sparq -name '*.hpp' | sort | xargs awk '
  BEGIN {
    # What each layer may include besides itself and sparq/fwd.hpp. A new folder gets its line here.
    below["base"]     = ""
    below["numeric"]  = "base"
    below["format"]   = "base numeric"
    below["simd"]     = "base numeric"
    below["tensor"]   = "base numeric format"
    below["kernel"]   = "base numeric format simd tensor"
    below["op"]       = "base numeric format simd tensor kernel"
    below["compress"] = "base numeric format simd tensor kernel op"
    below["plan"]     = "base numeric format simd tensor kernel op"
    below["io"]       = "base numeric format simd tensor kernel op"
    below["testing"]  = "base numeric format simd tensor kernel op"
    below["fwd.hpp"]  = "base"
  }
  function says(sentence) { print FILENAME ":" FNR ": " sentence; wrong = 1 }

  FNR == 1 {
    split(FILENAME, path, "/")
    layer = path[3]
    if (layer != "sparq.hpp" && !(layer in below)) says("the layer " layer " is not listed in tests/checks/layering.sh")
  }
  /^[ \t]*#[ \t]*include[ \t]*"/ { says("write #include <sparq/...>, from the include root") }
  /^[ \t]*#[ \t]*include[ \t]*<sparq\// {
    sub(/^[^<]*</, ""); sub(/>.*/, "")
    split($0, target, "/")
    if (layer == "sparq.hpp" || target[2] == layer || target[2] == "fwd.hpp") next
    if (target[2] == "sparq.hpp") { says("nothing in the library includes sparq.hpp"); next }
    if (index(" " below[layer] " ", " " target[2] " ") == 0) says(layer " must not include " target[2] " (" $0 ")")
  }
  END { exit wrong }'
