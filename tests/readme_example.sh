#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The C example of the README compiles as it stands there, and does what it says.
#   readme_example.sh README CC INCLUDE_DIR LIBRARY
set -euo pipefail

readme=$1 cc=$2 include=$3 library=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$readme" > "$dir/example.c"
lines=$(sed -n '/^int main/,$p' "$dir/example.c" | wc -l)
[ "$lines" -ge 10 ] && [ "$lines" -le 24 ] || { echo "the example has $lines lines"; exit 1; }
read -ra flags <<< "${CFLAGS:-}"
"$cc" -std=c11 -Wall -Wextra -Werror "${flags[@]}" -I"$include" "$dir/example.c" -o "$dir/example" "$library" \
	-Wl,-rpath,"$(dirname "$library")"
output=$("$dir/example")
echo "$output"
[ "$output" = "done: 1 of 100000 this second" ]
