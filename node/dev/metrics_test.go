// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/dyno-kv/dyno/server/metrics"
)

// scrape asks a node, by its number from 1, for its metrics: the text, and its values by
// name and labels.
func (l *life) scrape(node int) (text []byte, values map[string]float64) {
	l.t.Helper()
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Get("http://" + l.cluster.Members()[node-1].Admin + "/metrics")
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if text, err = io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		l.t.Fatalf("/metrics: %d, %v: %s", answer.StatusCode, err, text)
	}
	values = make(map[string]float64)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, found := strings.Cut(lines.Text(), "} ")
		if found {
			name += "}"
		} else {
			name, value, found = strings.Cut(lines.Text(), " ")
		}
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		if values[name], err = strconv.ParseFloat(value, 64); err != nil {
			l.t.Fatalf("%q: %v", lines.Text(), err)
		}
	}
	return text, values
}

// await waits until a value of a node's metrics is as wanted.
func (l *life) await(node int, name string, is func(float64) bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_, values := l.scrape(node)
		if v, told := values[name]; told && is(v) {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s stays %v", name, values[name])
		}
	}
}

func above(least float64) func(float64) bool { return func(v float64) bool { return v > least } }
func exactly(want float64) func(float64) bool {
	return func(v float64) bool { return v == want }
}

// Hints are kept for a node that is down and brought to it, and that can be seen.
func TestMetricsMoveWhileANodeIsDownAndBack(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Nodes = 4
	l := start(t, cfg)
	l.await(1, `dyno_node_ready`, exactly(1))
	if err := l.cluster.StopNode(t.Context(), "n4"); err != nil {
		t.Fatal(err)
	}
	const keys = 30
	for i := range keys {
		l.at(1).put("key"+strconv.Itoa(i), "v", nil)
	}
	pending := func() (sum float64) {
		for n := 1; n <= 3; n++ {
			_, values := l.scrape(n)
			sum += values[`dyno_hints_pending{kind="hint",peer="n4"}`] +
				values[`dyno_hints_pending{kind="marker",peer="n4"}`]
		}
		return sum
	}
	for deadline := time.Now().Add(patience); pending() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is kept for n4")
		}
	}
	if err := l.cluster.StartNode(t.Context(), "n4"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); pending() > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v hints are still kept for n4", pending())
		}
	}
	stored, delivered := 0.0, 0.0
	for n := 1; n <= 3; n++ {
		_, values := l.scrape(n)
		stored += values[`dyno_hints_stored_total{kind="hint",peer="n4"}`] +
			values[`dyno_hints_stored_total{kind="marker",peer="n4"}`]
		delivered += values[`dyno_hints_delivered_total{peer="n4"}`]
	}
	if delivered == 0 || stored < delivered {
		t.Errorf("%v hints delivered of %v stored", delivered, stored)
	}
	l.await(1, `dyno_client_requests_total{code="OK",op="kv.put"}`, exactly(keys))
	l.await(1, `dyno_client_request_duration_seconds_count{code="OK",op="kv.put"}`, exactly(keys))
	l.await(1, `dyno_storage_commit_duration_seconds_count`, above(0))
	l.await(1, `dyno_coordinator_replica_duration_seconds_count{kind="store",peer="n2"}`, above(0))
	l.await(4, `dyno_replica_keys`, above(0))
	l.await(1, `dyno_gossip_members{state="alive"}`, exactly(4))
	l.checkAll()
}

// checkAll demands that the nodes tell every family between them, and nothing else, as
// Prometheus wants it.
func (l *life) checkAll() {
	l.t.Helper()
	told := make(map[string]bool)
	for n := range l.cluster.Members() {
		text, _ := l.scrape(n + 1)
		problems, err := promlint.New(bytes.NewReader(text)).Lint()
		if err != nil {
			l.t.Fatal(err)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Metric, "dyno_") {
				l.t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(line, "# TYPE dyno_"); found {
				told["dyno_"+strings.Fields(name)[0]] = true
			}
		}
	}
	// What takes longer to happen than a test should wait, or needs a lost disk.
	later := []string{
		"dyno_hints_pending", "dyno_hints_pending_bytes", "dyno_hints_damaged",
		"dyno_hints_oldest_age_seconds", "dyno_antientropy_last_success_timestamp_seconds",
		"dyno_antientropy_oldest_success_timestamp_seconds", "dyno_refill_stored_keys_total",
		"dyno_refill_missing_sources", "dyno_refill_orphaned_partitions", "dyno_refill_progress_ratio",
	}
	for _, f := range metrics.Families() {
		if !told[f.Name] && !slices.Contains(later, f.Name) {
			l.t.Errorf("no node tells %s", f.Name)
		}
		delete(told, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		l.t.Errorf("%s is in no list", name)
	}
}
