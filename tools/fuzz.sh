#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tools/fuzz.sh DURATION     runs each fuzz target of the tree for DURATION
#
# A target's crasher lands in testdata/fuzz of its package: commit it with the fix.
set -euo pipefail
duration=${1:?usage: tools/fuzz.sh DURATION (for instance 30s)}
go=${GO:-go}
cd "$(dirname "$0")/.."

targets=$(git grep --untracked -hoE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | wc -l)
echo "fuzz: $targets targets, $duration each"
git grep --untracked -lE '^func Fuzz' -- '*_test.go' | sort | while read -r file; do
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' "$file" | while read -r target; do
		echo "fuzz: ./$(dirname "$file") $target"
		"$go" test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$duration" \
			-fuzzminimizetime 10s </dev/null
	done
done
echo "fuzz: done"
