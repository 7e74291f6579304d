#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures what docs/performance.md shows, in one run: the commit path beside a floor
# that knows nothing of dyno, alternating; the RPC echo; allocations; and three nodes
# under load. Prints tables, and leaves the raw output in bin/bench/.
#
#   bench/run.sh [DIR]     DIR: where the data goes (a disk; default: bin/bench/data)
#
# SECONDS_EACH=10 makes every load longer. Takes about 35 minutes, 20 of them for locks
# beside etcd (run-locks.sh), which LOCKS=no leaves out.
set -euo pipefail
cd "$(dirname "$0")/.."
out=bin/bench
data=${1:-$out/data}
each=${SECONDS_EACH:-5}
listen=${LISTEN:-127.0.0.1:5610}
mkdir -p "$out" "$data"
data=$(cd "$data" && pwd)
pid=
finish() {
	if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
		kill -INT "$pid"
		wait "$pid" || true
	fi
	rm -rf "${data:?}/cluster"
}
trap finish EXIT

say() { printf '\n## %s\n\n' "$*"; }

CGO_ENABLED=0 go build -o "$out/dyno" ./cmd/dyno
CGO_ENABLED=0 go build -o "$out/floor" ./bench/floor
go test -c -o "$out/storage.test" ./storage
go test -c -o "$out/rpc.test" ./rpc
go test -c -o "$out/dev.test" ./node/dev

say "machine"
nproc
grep -m1 'model name' /proc/cpuinfo || true
df -T "$data" | tail -1
go version

say "commit path (ours) and one synced transaction per put (floor), alternating"
# Both put new keys, 100,000 in all at most, so that neither compacts; one processor more
# than there are, as dyno has it (cmd/dyno/runtime.go).
for round in 1 2 3; do
	GOMAXPROCS=$(($(nproc) + 1)) "$out/floor" -dir "$data" -waiters 1,16,64,256 \
		-time "${each}s" | sed "s/^/floor $round  /"
	for waiters in 1 16 64 256; do
		puts=100000
		if [ "$waiters" = 1 ]; then puts=10000; fi
		(cd storage && GOMAXPROCS=$(($(nproc) + 1)) TMPDIR=$data "../$out/storage.test" \
			-test.run '^$' -test.bench "ReadMergeWrite/distinct/waiters=$waiters\$" \
			-test.benchtime "${puts}x") | grep '^Benchmark' | sed "s/^/ours $round  /"
	done
done | tee "$out/commit.txt"

say "RPC echo, 1 KiB"
(cd rpc && "../$out/rpc.test" -test.run '^$' -test.bench Echo -test.benchtime 2s) |
	grep '^Benchmark' | tee "$out/rpc.txt"

say "allocations of three nodes and one client together"
(cd node/dev && GOMAXPROCS=$(($(nproc) + 3)) TMPDIR=$data "../../$out/dev.test" -test.run '^$' -test.bench . \
	-test.benchtime 2s) | grep '^Benchmark' | tee "$out/allocs.txt"

start() { # start: a new cluster of three nodes
	rm -rf "${data:?}/cluster"
	"$out/dyno" dev --dir "$data/cluster" --listen "$listen" >"$out/dev.log" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		grep -q '^ready' "$out/dev.log" && return
		sleep 0.1
	done
	echo "the cluster did not become ready:" >&2
	cat "$out/dev.log" >&2
	exit 1
}

load() { # load FLAGS...: one measured load
	"$out/dyno" -e "$listen" bench kv --server-pid "$pid" --fsync-dir "$data" \
		--duration "${each}s" --warm-up 2s "$@" 2>/dev/null
}

# Each load has a cluster of its own, so that none pays for what another left to compact.
for size in 100 1024; do
	say "three nodes, values of $size bytes"
	for mix in 100:0 0:100 50:50; do
		for clients in 1 16 64 256; do
			printf '\nputs:gets %s, %s clients\n' "$mix" "$clients"
			start
			load --value-size "$size" --keys 20000 --mix "$mix" --clients "$clients"
			finish
			pid=
		done
	done
done | tee "$out/cluster.txt"

say "one minute of puts, 1 KiB: what compaction costs"
start
load --value-size 1024 --keys 20000 --mix 100:0 --clients 64 --duration 60s | tee "$out/long.txt"
finish
pid=

say "open loop, 1 KiB: latency of puts"
for rate in 2000 4500; do
	start
	load --value-size 1024 --keys 20000 --mix 100:0 --clients 64 --rate "$rate" --duration 20s
	finish
	pid=
done | tee "$out/open.txt"

say "memory after 200,000 keys of 1 KiB"
start
load --value-size 1024 --keys 200000 --mix 100:0 --clients 64 | tee "$out/memory.txt"
sleep 30
grep -E 'VmRSS|RssAnon|RssFile' "/proc/$pid/status" | tee -a "$out/memory.txt"
finish
pid=

if [ "${LOCKS:-yes}" = yes ]; then
	say "locks, beside etcd"
	bench/run-locks.sh "$data"
fi
