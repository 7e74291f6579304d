#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures what it costs that nothing stays behind: trees, hints, comparisons, refills. The
# nodes are processes on loopback, writes are synced. Prints a table of medians, and leaves
# all lines in the format of Go's benchmarks in bin/bench/repair.txt, for benchstat.
#
#   bench/run-repair.sh [DIR]     DIR: where the data goes (a disk; default: bin/bench/data)
#
# ROUNDS=3 is how often puts are measured, HINT_ROUNDS=5 in how many parts hints are delivered,
# TREE_ROUNDS=10 how often trees are, each round with all that is compared in turn.
# KEYS=1000000, HINTS=100000, SECONDS_EACH=10 and RATE=1000 make it smaller. BEFORE is the commit that puts are compared with, the last one
# without sloppy writes; it is left out where the history does not have it.
# Takes about 20 minutes, 4 GiB of memory and 15 GiB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/bin/bench
data=${1:-$out/data}
mkdir -p "$out" "$data"
data=$(cd "$data" && pwd)
each=${SECONDS_EACH:-10}
rate=${RATE:-1000}
keys=${KEYS:-1000000}
hints=${HINTS:-100000}
before=${BEFORE:-c731f1b^}
results=$out/repair.txt
ulimit -n "$(ulimit -Hn)" || true
trap 'rm -rf "${data:?}/repair" "${data:?}/before"' EXIT

say() { printf '\n## %s\n\n' "$*" >&2; }

CGO_ENABLED=0 go build -o "$out/dyno-now" ./cmd/dyno
go build -o "$out/repair" ./bench/repair
go test -c -o "$out/replica.test" ./replica
go test -c -o "$out/exchange.test" ./antientropy/exchange
programs=now
if git rev-parse -q --verify "$before^{commit}" >/dev/null; then
	mkdir -p "$data/before"
	git archive "$before" | tar -x -C "$data/before"
	(cd "$data/before" && CGO_ENABLED=0 go build -buildvcs=false -o "$out/dyno-before" ./cmd/dyno)
	rm -rf "${data:?}/before"
	programs="before now"
fi
{
	echo "# $(nproc) processors, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)"
	echo "# $(df -T "$data" | tail -1)"
	echo "# $(go version)"
} | tee "$results"

fresh() { # fresh: an empty directory for nodes
	rm -rf "${data:?}/repair"
	mkdir -p "$data/repair"
}

nodes() { # nodes WHAT PROGRAM FLAGS...: one measurement with processes
	local what=$1 program=$2
	shift 2
	fresh
	"$out/repair" "$what" -bin "$program" -dir "$data/repair" "$@" | tee -a "$results"
}

bench() { # bench PACKAGE PROGRAM REGEXP FLAGS...: a Go benchmark, with its data on the disk
	local package=$1 program=$2 what=$3
	shift 3
	fresh
	(cd "$package" && GOMAXPROCS=$(($(nproc) + 1)) TMPDIR=$data/repair "$out/$program" \
		-test.run '^$' -test.bench "$what" -test.timeout 20m "$@") |
		grep '^Benchmark' | tee -a "$results"
}

say "a put at its owner, without trees and with them"
for round in $(seq "${TREE_ROUNDS:-10}"); do
	for trees in $([ $((round % 2)) = 0 ] && echo true false || echo false true); do
		bench replica replica.test "^BenchmarkPut$/trees=$trees" -test.benchtime "${TREE_PUTS:-40000}x"
	done
done

say "puts: the last commit without sloppy writes, now, and into a bucket that is not sloppy"
for _ in $(seq "${ROUNDS:-3}"); do
	for program in $programs; do
		nodes puts "$out/dyno-$program" -label "$program" -time "${each}s"
	done
	nodes puts "$out/dyno-now" -label strict -strict -time "${each}s"
done

say "hints delivered, and the foreground with and without, in turn"
nodes hints "$out/dyno-now" -hints "$hints" -rounds "${HINT_ROUNDS:-5}" -rate "$rate" \
	-time "${each}s"

say "$keys keys: trees after kill -9, and a lost store filled"
nodes refill "$out/dyno-now" -keys "$keys" -rate "$rate" -time "${each}s"

say "exchange: two replicas in memory, in sync, and with a thousand keys that differ"
short=(-test.short)
if [ "$keys" -ge 1000000 ]; then short=(); fi
bench antientropy/exchange exchange.test 'InSync|ThousandDiffer' -test.benchtime 1x \
	"${short[@]}"

"$out/repair" table "$results" | tee "$out/repair-table.txt"
