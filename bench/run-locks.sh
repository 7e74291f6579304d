#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures locks as docs/performance.md shows them: dyno and etcd in turn, three servers
# each on loopback, writes synced, the same load generator. Prints a table of medians with
# ratios, and leaves a line of JSON for each run in bin/bench/locks.jsonl.
#
#   bench/run-locks.sh [DIR]     DIR: where the data goes (a disk; default: bin/bench/data)
#
# ROUNDS=3 is how often everything is measured, SECONDS_EACH=5 how long a load lasts,
# KILLS=5 how often a leader is killed each round, SESSIONS=50000 how many are kept alive.
# Takes about 20 minutes. Building etcd takes its modules from the module proxy.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/bin/bench
data=${1:-$out/data}
mkdir -p "$out" "$data"
data=$(cd "$data" && pwd)
each=${SECONDS_EACH:-5}
kills=${KILLS:-5}
sessions=${SESSIONS:-50000}
ulimit -n "$(ulimit -Hn)" || true # thousands of waiters and three servers
trap 'rm -rf "${data:?}/dyno" "${data:?}/etcd"' EXIT

CGO_ENABLED=0 go build -o "$out/dyno" ./cmd/dyno
(cd bench/peers/etcd && CGO_ENABLED=0 go build -o "$out/etcd" .)
go build -o "$out/ratios" ./bench/ratios
: >"$out/locks.jsonl"

both() { # both SCENARIO CLIENTS FLAGS...: one run of each
	local scenario=$1 clients=$2
	shift 2
	printf '%s, %s clients\n' "$scenario" "$clients" >&2
	"$out/dyno" bench lock "$scenario" --cluster-dir "$data" --fsync-dir "$data" -o json \
		--clients "$clients" "${@/#-/--}" >>"$out/locks.jsonl"
	"$out/etcd" -dir "$data" -clients "$clients" "$@" "$scenario" >>"$out/locks.jsonl"
}

for round in $(seq "${ROUNDS:-3}"); do
	printf '\nround %s\n' "$round" >&2
	for clients in 1 64 1000; do
		both pairs "$clients" -duration "${each}s"
	done
	both handover 100 -duration "${each}s"
	both failover 8 -rounds "$kills"
done
for ttl in 15s 60s; do
	both keep "$sessions" -duration 30s -timeout 30s -ttl "$ttl"
done

"$out/ratios" "$out/locks.jsonl" | tee "$out/locks.txt"
