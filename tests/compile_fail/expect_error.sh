#!/bin/sh
# SPDX-License-Identifier: MIT
# expect_error.sh <repository> <compiler> <source> [header]: passes if the source does not compile and the compiler's
# output has the sentence that the source announces in its first comment, "// expect: <sentence>"; or no other error
# beside it, "// expect only: <sentence>". The header is one that the source includes anyway, precompiled.
repository=$1 compiler=$2 source=$3 header=${4-}

sentence=$(sed -n 's|^// expect\( only\)*: ||p' "$source" | head -n 1)
if [ -z "$sentence" ]; then
  echo "$source: has no comment \"// expect: sparq: <sentence>\""
  exit 1
fi
if output=$("$compiler" -std=c++20 -I"$repository/include" ${header:+-include "$header"} -fsyntax-only "$source" 2>&1)
then
  echo "$source: compiles, but should say: $sentence"
  exit 1
fi
case $output in
  *"$sentence"*)
    grep -q '^// expect only: ' "$source" || exit 0
    [ "$(printf '%s\n' "$output" | grep -c 'error: ')" = 1 ] && exit 0
    sentence="$sentence, and nothing else" ;;
esac
echo "$source: the compiler should say: $sentence"
echo "it says:"
echo "$output"
exit 1
