#!/bin/sh
# SPDX-License-Identifier: MIT
# links.sh <repository>: links between Markdown pages lead to files and headings that exist, and are on one line;
# docs/decisions.md lists all decisions; headers that prose or comments name with their folder are there.
cd "$1" || exit 2

pages=$(git ls-files -co --exclude-standard '*.md' 2>/dev/null)
[ -n "$pages" ] || pages=$(find . -name '*.md' | sed 's|^\./||')
[ -n "$pages" ] || exit 0

# shellcheck disable=SC2086 # names without spaces
awk '
  function anchor(heading) { heading = tolower(heading); gsub(/[^a-z0-9 _-]/, "", heading); gsub(/ /, "-", heading); return heading }
  function folder(page) { return page ~ /\// ? substr(page, 1, match(page, /\/[^\/]*$/)) : "" }
  function says(page, sentence) { print page ": " sentence; wrong = 1 }
  FNR == 1 { code = 0; exists[FILENAME] = 1 }
  /^ *```/ { code = !code }
  code { next }
  /^#+ / { heading = $0; sub(/^#+ /, "", heading); place[FILENAME "#" anchor(heading)] = 1
           if (FILENAME ~ /^docs\/decisions\// && /^## /) decision[FILENAME "#" anchor(heading)] = 1 }
  { rest = $0
    while (match(rest, /\]\([^)]*\)/)) {
      if (substr(rest, 1, RSTART) !~ /\[/) says(FILENAME, "Doxygen reads no link whose text is broken: " substr(rest, 1, RSTART + RLENGTH - 1))
      link = substr(rest, RSTART + 2, RLENGTH - 3); rest = substr(rest, RSTART + RLENGTH)
      if (link !~ /^[a-z]+:/) { links[++count] = link; from[count] = FILENAME }
    } }
  END {
    for (i = 1; i <= count; ++i) {
      split(links[i], part, "#")
      path = part[1] == "" ? from[i] : folder(from[i]) part[1]
      while (sub(/[^\/]+\/\.\.\//, "", path)) { }
      if (system("test -e " path) != 0) says(from[i], "no file behind the link " links[i])
      else if (part[2] != "" && (path in exists) && !((path "#" part[2]) in place)) says(from[i], "no heading behind the link " links[i])
      if (from[i] == "docs/decisions.md") listed[path "#" part[2]] = 1
    }
    for (d in decision) if (!(d in listed)) says("docs/decisions.md", "does not list " d)
    exit wrong
  }' $pages
wrong=$?

sources=$(find include tests bench examples \( -name '*.hpp' -o -name '*.cpp' \) 2>/dev/null)
# shellcheck disable=SC2086
named=$(grep -HnoE '(^|[ (`])[a-z0-9_]+(/[a-z0-9_]+)+\.[hc]pp' $pages $sources | tr -d '`(' | sed 's|:  *|:|')
for name in $(echo "$named" | sed 's/.*://' | sort -u); do
  for root in . include/sparq include docs; do
    [ -f "$root/$name" ] && continue 2
  done
  echo "$named" | grep ":$name\$" | sed 's/:\([^:]*\)$/: there is no \1/'
  wrong=1
done
exit $wrong
