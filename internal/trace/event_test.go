// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// record keeps events, and copies what is lent.
type record struct{ events []Event }

func (r *record) Take(e Event) {
	e.Key = append([]byte(nil), e.Key...)
	r.events = append(r.events, e)
}

func TestTracerStampsItsNodeAndKeepsTheRest(t *testing.T) {
	var sink record
	tracer := New(7, &sink)
	key := []byte("k")
	tracer.Emit(Event{Kind: Synced, Emitter: 9, Partition: 3, Actor: 1, Counter: 2, Key: key})
	key[0] = 'x' // the sink has its own copy
	want := []Event{{
		Kind: Synced, Emitter: 7, Partition: 3, Actor: 1, Counter: 2, Key: []byte("k"),
	}}
	if diff := cmp.Diff(want, sink.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !tracer.Enabled() {
		t.Error("a tracer with a sink says that nobody listens")
	}
}

func TestNilTracerDropsEvents(t *testing.T) {
	tracer := New(7, nil)
	if tracer != nil || tracer.Enabled() {
		t.Fatal("a tracer without a sink is not nil")
	}
	key := []byte("k")
	emit := func() { tracer.Emit(Event{Kind: Applied, Key: key}) }
	if got := testing.AllocsPerRun(100, emit); got != 0 {
		t.Errorf("a nil tracer allocates %v times", got)
	}
}

func TestEveryKindHasItsOwnName(t *testing.T) {
	seen := make(map[string]Kind)
	for k := DotMinted; k <= RefillReported; k++ {
		name := k.String()
		if other, twice := seen[name]; name == "" || twice {
			t.Errorf("kind %d has the name %q, as has %d", k, name, other)
		}
		seen[name] = k
	}
	for k, want := range map[Kind]string{
		0: "kind(0)", RefillReported + 1: "kind(20)", DotMinted: "dot-minted",
		HintDeleted: "hint-deleted", ReadAnswered: "read-answered", Covered: "covered", EntryStored: "entry-stored",
	} {
		if got := k.String(); got != want {
			t.Errorf("kind %d is %q, want %q", uint8(k), got, want)
		}
	}
}

func TestRecorderKeepsWhatIsOnlyLent(t *testing.T) {
	var r Recorder
	key, request, covers := []byte("key"), []byte("request"), []Dots{{Actor: 1, Counter: 2}}
	r.Take(Event{Kind: Applied, Key: key, Request: request, Covers: covers})
	key[0], request[0], covers[0].Counter = '-', '-', 9
	first := r.Events()
	r.Take(Event{Kind: Synced})
	if got := r.Events(); len(first) != 1 || len(got) != 2 || got[1].Kind != Synced {
		t.Fatalf("%v, then %v", first, got)
	}
	if string(first[0].Key) != "key" || string(first[0].Request) != "request" ||
		first[0].Covers[0].Counter != 2 {
		t.Errorf("%+v changed with the buffers that were lent", first[0])
	}
}
