#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# crash_table.sh SOURCE BUILD FUNCTION: the table that scripts/crash-test writes, tests/kill-table.md.
set -euo pipefail
source=$1 build=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "crash_table: $1" >&2
	exit 1
}

# A project with the script, and programs that kill nobody and print rows; K2K_FAKE_STATUS is their exit status.
make_project() {
	local program
	mkdir -p "$dir/scripts" "$dir/tests" "$dir/build/tests"
	cp "$source/scripts/crash-test" "$dir/scripts/"
	cat >"$dir/fake" <<-'EOF'
	#!/bin/bash
	case $(basename "$0") in
	crash_instructions) echo "# stores | one | half full | 9 | 5 | 5" ;;
	crash_recovery)     echo "# kills | one, then repair | empty | 100 | 8 | 3 | 6 | 4 | 2 | 0 | 1" ;;
	crash_points)       echo "# kills | one | $2$1 | 100 | 8 | 3 | 10 | 5 | 3 | 2 | 0" ;;
	crash_audit)        echo "# kills | other | 0 before | 50 | 2 | 0 | 2 | 1 | 1 | 0 | 0" ;;
	esac
	exit "${K2K_FAKE_STATUS:-0}"
	EOF
	chmod +x "$dir/fake"
	for program in crash_points crash_recovery crash_instructions crash_audit; do
		printf 'TEST(a) { go(); }\nTEST(b)\n{\n}\n' >"$dir/tests/$program.c"
		cp "$dir/fake" "$dir/build/tests/$program"
	done
}

crash_table_is_written_by_the_whole() {
	local page=$dir/tests/kill-table.md line
	make_project
	"$dir/scripts/crash-test" --build build --seed 7 || fail "exit $?"
	for line in '- Commit: unknown: not in a git repository' '- Seed: 7; killed at every point' \
		"- Date: $(date -u +%Y-%m-%d)" '| one | 8 | 3 | 2 | 20 | 10 | 6 | 4 | 12 |' '| other | 2 | 0 | 2 | 4 | 2 | 2 | 0 | 0 |' \
		'| **all** | | | | **24** | 12 | 8 | 4 | **12** |'; do
		grep -qxF -e "$line" "$page" || fail "no line: $line"
	done
	grep -q '^Written by `scripts/crash-test --seed 7`;' "$page" || fail "the command is missing"
	grep -q '^Points that were not reached.*: 2$' "$page" || fail "the points that were not reached are missing"
}

crash_table_names_the_commit() {
	local page=$dir/page commit
	make_project
	git -C "$dir" init -q
	git -C "$dir" add scripts tests
	git -C "$dir" -c user.name=test -c user.email=test@example.org commit -qm test
	commit=$(git -C "$dir" rev-parse HEAD)
	# the table of an earlier run is no change of what is tested
	"$dir/scripts/crash-test" --build build || fail "exit $?"
	git -C "$dir" add tests
	"$dir/scripts/crash-test" --build build --write "$page" || fail "exit $?"
	grep -qxF -e "- Commit: $commit" "$page" || fail "not the commit"
	echo '# changed' >>"$dir/tests/crash_points.c"
	"$dir/scripts/crash-test" --build build --write "$page" || fail "exit $?"
	grep -qxF -e "- Commit: $commit, and changes that are not committed" "$page" || fail "the change is not told"
}

crash_table_of_a_part_is_only_printed() {
	make_project
	"$dir/scripts/crash-test" --build build --every 2 >"$dir/out" || fail "exit $?"
	"$dir/scripts/crash-test" --build build --only one || fail "exit $?"
	[[ ! -e $dir/tests/kill-table.md ]] || fail "a part has written the table"
	grep -q '^| one |' "$dir/out" || fail "nothing was printed"
	"$dir/scripts/crash-test" --build build --every 2 --seed 3 --write "$dir/page" || fail "exit $?"
	grep -q '^Written by `scripts/crash-test --every 2 --seed 3`;' "$dir/page" || fail "the command is missing"
}

crash_table_of_a_failure_is_only_printed() {
	make_project
	echo earlier >"$dir/tests/kill-table.md"
	if K2K_FAKE_STATUS=1 "$dir/scripts/crash-test" --build build; then
		fail "no failure"
	fi
	[[ $(cat "$dir/tests/kill-table.md") == earlier ]] || fail "the table was written"
	# nothing killed is no success either
	printf '#!/bin/bash\n' >"$dir/fake"
	for program in "$dir/build/tests/"*; do cp "$dir/fake" "$program"; done
	if "$dir/scripts/crash-test" --build build; then
		fail "nothing was killed, and that is no failure"
	fi
	[[ $(cat "$dir/tests/kill-table.md") == earlier ]] || fail "the table was written"
}

# Without what differs from run to run: names, numbers, the commit.
shape() {
	sed -E -e 's/^\| [^*|]+ \|( [0-9]+ \|)+$/| NAME | N |/' -e 's/^- Commit: .*/- Commit/' \
		-e 's/^- Seed: .*/- Seed/' -e 's/`scripts[^`]*`/COMMAND/' -e 's/[0-9]+/N/g' "$1" |
		grep -v 'after every instruction\|^$' | uniq
}

# Of one operation, really killed: the page has the form of the one in the project, and its sums are right.
crash_table_of_one_operation() {
	[[ -x $build/tests/crash_points ]] || exit 77
	local before
	before=$(cksum "$source/tests/kill-table.md")
	"$source/scripts/crash-test" --build "$build" --only "kernel release" --every 8 --seed 1 \
		--write "$dir/page" || fail "exit $?"
	[[ $(cksum "$source/tests/kill-table.md") == "$before" ]] || fail "tests/kill-table.md was changed"
	diff <(shape "$source/tests/kill-table.md") <(shape "$dir/page") || fail "tests/kill-table.md isn't what the script writes"
	for page in "$source/tests/kill-table.md" "$dir/page"; do
		# fields: "", operation, stores, system calls, states, killed, before, after, either, again
		awk -F ' *[|] *' '
		$2 == "**all**" { gsub(/[*]/, ""); all = $6; again = $10; if ($6 != $7 + $8 + $9 || $6 == 0) exit 1 }
		$3 ~ /^[0-9]+$/ { sum += $6; sum_again += $10 }
		END { exit !(all == sum && again == sum_again && again > 0) }' "$page" || fail "the sums of $page are wrong"
	done
}

"$3"
