// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMediansStandBesideEachOther(t *testing.T) {
	const lines = `{"system":"etcd","scenario":"pairs","clients":64,"per_second":100,"pair":{"p50_ms":8,"p99_ms":20}}
{"system":"dyno","scenario":"pairs","clients":64,"per_second":1,"pair":{"p50_ms":1,"p99_ms":2}}
{"system":"dyno","scenario":"pairs","clients":64,"per_second":300,"pair":{"p50_ms":2,"p99_ms":20}}
{"system":"dyno","scenario":"pairs","clients":64,"per_second":900,"pair":{"p50_ms":4,"p99_ms":40}}
{"system":"dyno","scenario":"keep","clients":9,"ttl_ms":15000,"leader_cores":0.05,"server_cores":0.2}
`
	name := filepath.Join(t.TempDir(), "locks.jsonl")
	if err := os.WriteFile(name, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run([]string{name}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| scenario | clients | figure | dyno | etcd | dyno / etcd |",
		"| pairs | 64 | per second | 300 | 100 | 3.00 |",
		"| pairs | 64 | pair p50 ms | 2.00 | 8.00 | 0.25 |",
		"| keep, TTL 15 s | 9 | leader cores | 0.05 |  |  |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hand-over") {
		t.Errorf("a figure that nobody has is shown:\n%s", out.String())
	}
}

func TestWhatIsNoReportIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(name, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range [][]string{nil, {name}, {name + ".not"}} {
		if err := run(files, &strings.Builder{}); err == nil {
			t.Errorf("%v was taken", files)
		}
	}
}
