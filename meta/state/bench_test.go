// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

// sessionOf is the id of the n-th session.
func sessionOf(n int) (id locks.SessionID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

// withSessions is a formed cluster with so many sessions, each of which holds a lock.
func withSessions(tb testing.TB, n int) *log {
	l := formed(tb)
	for first := 0; first < n; first += 100 {
		var commands []Command
		for i := first; i < min(first+100, n); i++ {
			commands = append(commands,
				SessionOpen{ID: sessionOf(i), Name: "client", Owner: 1, TTL: 15 * time.Second},
				Acquire{
					Session: sessionOf(i), Holder: 1, Name: "lock-" + sessionOf(i).String(),
					Kind: locks.KindExclusive, Value: []byte("10.0.0.1:7000"),
				})
		}
		l.entry(commands...)
	}
	return l
}

// BenchmarkApply applies entries of MaxCommands commands: half acquire, half release.
func BenchmarkApply(b *testing.B) {
	const clients = 1000
	l := withSessions(b, clients)
	held := make([]Release, MaxCommands/2)
	client, holder := 0, uint64(2)
	var commands []Command
	for b.Loop() {
		b.StopTimer()
		commands = commands[:0]
		for i := range held {
			if client = (client + 1) % clients; client == 0 {
				holder++
			}
			held[i] = Release{
				Session: sessionOf(client), Holder: holder,
				Name: "new-" + sessionOf(client).String(),
			}
			commands = append(commands, Acquire{
				Session: held[i].Session, Holder: holder, DoneThrough: holder - 2,
				Name: held[i].Name, Kind: locks.KindExclusive, Value: []byte("10.0.0.1:7000"),
			})
		}
		index := l.Index() + 1
		first := max(l.Locks().Fence()+1, kv.Fence(index)) // as package locks issues them
		for i := range held {
			held[i].Fence = first + kv.Fence(i)
			commands = append(commands, held[i])
		}
		entry := AppendEntry(nil, Token{Raft: 1, Seq: 1}, commands...)
		b.StartTimer()
		applied, err := l.Apply(index, l.term, entry)
		if err != nil {
			b.Fatal(err)
		}
		if r := applied.Results[MaxCommands-1]; !r.Lock.Released {
			b.Fatalf("the last command was answered %+v", r)
		}
	}
	b.ReportMetric(float64(MaxCommands), "commands/op")
}

func BenchmarkSnapshotOf50000Sessions(b *testing.B) {
	l := withSessions(b, 50_000)
	var snapshot []byte
	for b.Loop() {
		snapshot = l.Snapshot(snapshot[:0])
	}
	b.ReportMetric(float64(len(snapshot)), "snapshot-bytes")
}

func BenchmarkHashOf50000Sessions(b *testing.B) {
	l := withSessions(b, 50_000)
	for b.Loop() {
		l.Hash()
	}
}

func BenchmarkRestoreOf50000Sessions(b *testing.B) {
	snapshot := withSessions(b, 50_000).Snapshot(nil)
	for b.Loop() {
		if _, err := Restore(snapshot); err != nil {
			b.Fatal(err)
		}
	}
}
