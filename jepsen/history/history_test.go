// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *History {
	v := func(c uint32, s uint64) Value { return Value{Client: c, Seq: s} }
	return &History{
		Header: Header{Version: Version, N: 3, Seed: 1 << 63, Labels: map[string]string{"w": "2"}},
		Ops: []Op{
			{
				Process: 1, Kind: Put, Key: "k1", Invoked: 10, Completed: 20, Outcome: OK,
				Value: v(1, 1), Blind: true, Read: []Value{v(1, 1), v(2, 9)}, W: 2, Node: "n1", TTL: 5,
			},
			{
				Process: 2, Kind: Get, Key: "k1", Invoked: 11, Completed: 30, Outcome: OK,
				Read: []Value{v(1, 1), v(1, 1)}, R: 2, PR: 1, Atomic: true, Final: 2,
			},
			{
				Process: 1, Kind: Delete, Key: "<k>", Invoked: -1, Completed: 1 << 62, Outcome: Info,
				Value: v(1<<32-1, 1<<64-1), Context: []Value{v(1, 1)}, Moved: true, Again: true,
				Pinned: true, Error: "gone",
			},
			{Kind: Add, Key: "s", Outcome: Fail, Value: v(3, 1)},
			{Kind: Members, Key: "s", Outcome: OK, Read: []Value{v(3, 2)}},
			{Kind: Increment, Key: "c", Outcome: OK, Delta: -7},
			{Kind: Total, Key: "c", Outcome: OK, Total: -7},
		},
		Events: []Event{{From: 1, Until: 2, Name: "kill", Nodes: []string{"n1"}, Outage: true}},
	}
}

func encode(t testing.TB, h *History) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteAll(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHistoriesSurviveEncoding(t *testing.T) {
	got, err := ReadAll(bytes.NewReader(encode(t, sample())), 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryCutIsNoticedAndWhatIsWholeBeforeItIsKept(t *testing.T) {
	whole := encode(t, sample())
	for n := range len(whole) - 1 { // without the last newline nothing is missing
		h, err := ReadAll(bytes.NewReader(whole[:n]), 100)
		if !errors.Is(err, ErrCut) {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
		lines := bytes.Count(whole[:n], []byte("\n"))
		if h != nil && len(h.Ops)+len(h.Events) < lines-1 {
			t.Fatalf("cut at byte %d: %d of %d lines are left", n, len(h.Ops)+len(h.Events), lines-1)
		}
	}
}

func TestAnOperationLeftOutInTheMiddleIsACut(t *testing.T) {
	lines := strings.SplitAfter(string(encode(t, sample())), "\n")
	less := strings.Join(append(lines[:2:2], lines[3:]...), "")
	if _, err := ReadAll(strings.NewReader(less), 100); !errors.Is(err, ErrCut) {
		t.Errorf("got %v", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	const head = `{"header":{"version":1,"n":3}}` + "\n"
	op := func(fields string) string { return head + `{"op":{"p":1,"key":"k",` + fields + "}}\n" }
	cases := []struct {
		name, text string
		want       error
	}{
		{"no JSON", "hello\n", ErrInvalid},
		{"no header", `{"end":{"ops":0,"events":0}}` + "\n", ErrInvalid},
		{"another version", `{"header":{"version":2,"n":3}}` + "\n", ErrVersion},
		{"no replicas", `{"header":{"version":1}}` + "\n", ErrInvalid},
		{"two headers", head + head, ErrInvalid},
		{"an empty line", head + "{}\n", ErrInvalid},
		{"two in a line", head + `{"end":{"ops":0,"events":0}} {}` + "\n", ErrInvalid},
		{"lines behind the end", head + `{"end":{"ops":0,"events":0}}` + "\n\n", ErrInvalid},
		{"unknown field", op(`"kind":"get","outcome":"ok","color":1`), ErrInvalid},
		{"unknown kind", op(`"kind":"frob","outcome":"ok"`), ErrInvalid},
		{"no kind", op(`"outcome":"ok"`), ErrInvalid},
		{"no outcome", op(`"kind":"get"`), ErrInvalid},
		{"time backwards", op(`"kind":"get","outcome":"ok","from":2,"to":1`), ErrInvalid},
		{"put without value", op(`"kind":"put","outcome":"ok"`), ErrInvalid},
		{"get with value", op(`"kind":"get","outcome":"ok","value":"1.1"`), ErrInvalid},
		{"value with zeros", op(`"kind":"put","outcome":"ok","value":"01.1"`), ErrValue},
		{"failed read with values", op(`"kind":"get","outcome":"fail","read":["1.1"]`), ErrInvalid},
		{"blind with context", op(`"kind":"put","outcome":"ok","value":"1.1","blind":true,` +
			`"context":["1.2"]`), ErrInvalid},
		{"final put", op(`"kind":"put","outcome":"ok","value":"1.1","final":1`), ErrInvalid},
		{"level", op(`"kind":"get","outcome":"ok","r":17`), ErrInvalid},
		{"line too long", head + strings.Repeat("x", MaxLine+1), ErrInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadAll(strings.NewReader(c.text), 100); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestReadAllTakesNoMoreThanItWasAllowed(t *testing.T) {
	text := encode(t, sample())
	if _, err := ReadAll(bytes.NewReader(text), len(sample().Ops)-1); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v", err)
	}
	if _, err := ReadAll(bytes.NewReader(text), len(sample().Ops)); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTheLongestListsFitIntoALine(t *testing.T) {
	h := sample()
	long := make([]Value, MaxValues)
	for i := range long {
		long[i] = Value{Client: 1<<32 - 1, Seq: 1<<64 - 1 - uint64(i)}
	}
	h.Ops[0] = Op{Kind: Put, Key: strings.Repeat("\x01", MaxKey), Value: long[0], Outcome: OK,
		Read: long, Context: long}
	h.Events[0].Detail = strings.Repeat("\x01", MaxText)
	if _, err := ReadAll(bytes.NewReader(encode(t, h)), 100); err != nil {
		t.Error(err)
	}
}

func TestWriterCutsLongErrorsAndRefusesWhatReaderWould(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{N: 1})
	if err != nil {
		t.Fatal(err)
	}
	op := Op{Kind: Get, Key: "k", Outcome: Info, Error: strings.Repeat("é", MaxError)}
	if err := w.Op(&op); err != nil {
		t.Fatal(err)
	}
	if err := w.Op(&Op{Kind: Get, Key: "\xff", Outcome: OK}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a key that JSON would change: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := ReadAll(&b, 10)
	if err != nil || len(h.Ops) != 1 || !strings.HasSuffix(h.Ops[0].Error, "...") {
		t.Errorf("got %v, %v", h, err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestAWriterThatFailedSaysSoToTheEnd(t *testing.T) {
	h := sample()
	h.Ops[0].Error = strings.Repeat("x", MaxError)
	w, err := NewWriter(fullDisk{}, h.Header)
	for i := 0; err == nil && i < 1000; i++ {
		err = w.Op(&h.Ops[0])
	}
	if !errors.Is(err, io.ErrShortWrite) || !errors.Is(w.Close(), io.ErrShortWrite) {
		t.Errorf("got %v, then %v", err, w.Close())
	}
}

func TestRecorderTakesFromSeveralGoroutinesUpToItsBound(t *testing.T) {
	const bound = 1000
	r, err := NewRecorder(Header{N: 3}, bound)
	if err != nil {
		t.Fatal(err)
	}
	op, event := sample().Ops[0], sample().Events[0]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range bound / 4 {
				if err := errors.Join(r.Op(&op), r.Event(&event)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	before := r.History()
	if err := r.Op(&op); !errors.Is(err, ErrTooLong) {
		t.Errorf("beyond the bound: %v", err)
	}
	if len(before.Ops) != bound || len(before.Events) != bound {
		t.Errorf("%d operations, %d events", len(before.Ops), len(before.Events))
	}
}

func TestARecorderOfAFileKeepsNothingAndWritesAll(t *testing.T) {
	want := sample()
	var file bytes.Buffer
	r, err := NewFileRecorder(&file, want.Header, len(want.Ops))
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for i := range want.Ops {
		failed = errors.Join(failed, r.Op(&want.Ops[i]))
	}
	if err := errors.Join(failed, r.Event(&want.Events[0])); err != nil {
		t.Fatal(err)
	}
	if err := r.Op(&want.Ops[0]); !errors.Is(err, ErrTooLong) {
		t.Errorf("one more than the bound: %v", err)
	}
	if kept := r.History(); len(kept.Ops)+len(kept.Events) > 0 {
		t.Errorf("it kept %d operations, %d events", len(kept.Ops), len(kept.Events))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAll(&file, len(want.Ops))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPayloadsNameTheirValueAndShowDamage(t *testing.T) {
	for _, size := range []int{0, 4, 5, 6, 64} {
		v := Value{Client: 7, Seq: 42}
		b := v.Payload(size)
		if got, err := OpenPayload(b); got != v || err != nil || len(b) != max(size, 5) {
			t.Fatalf("size %d: %q opens as %v, %v", size, b, got, err)
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 0x40
			if got, err := OpenPayload(bad); err == nil && got == v {
				t.Errorf("%q is taken for %s", bad, v)
			}
			if got, err := OpenPayload(b[:i]); err == nil {
				t.Errorf("%q, cut from %q, is taken for %s", b[:i], b, got)
			}
		}
	}
	for _, text := range []string{"", " ", "7", "7.", ".1", "0.1", "+1.1", "7.42", ";", "7;", "7.42 zz;"} {
		if v, err := OpenPayload([]byte(text)); err == nil {
			t.Errorf("%q opens as %s", text, v)
		}
	}
}

func TestStrictCountsOwnersOnlyWhereFallbacksMayStandIn(t *testing.T) {
	w, r := &Op{W: 2, PW: 1}, &Op{R: 2, PR: 2}
	if !Strict(w, r, 3, false) || Strict(w, r, 3, true) || Strict(w, r, 4, false) {
		t.Error("2 + 2 of 3 meet, 1 + 2 owners of 3 need not, 2 + 2 of 4 need not")
	}
}

func FuzzReadAll(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, locks()))
	f.Add([]byte(`{"header":{"version":1,"n":3}}` + "\n" + `{"end":{"ops":0,"events":0}}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := ReadAll(bytes.NewReader(text), 1000)
		if err != nil {
			return
		}
		again, err := ReadAll(bytes.NewReader(encode(t, h)), 1000)
		if err != nil || len(again.Ops) != len(h.Ops) {
			t.Fatalf("what was read can not be written and read: %v", err)
		}
	})
}

func TestAnOperationIsToldInOneLine(t *testing.T) {
	op := Op{
		Process: 7, Kind: Put, Key: "set 1", Value: Value{7, 2}, Context: []Value{{3, 1}},
		Invoked: 12_345_678_901, Completed: 12_345_679_901, Outcome: OK, Node: "n3",
	}
	const want = `12.345679 s: process 7 put "set 1" 7.2 over [3.1] by "n3": ok after 1µs`
	if got := op.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	op.Completed = 0 // it is not complete
	if got := op.String(); !strings.HasSuffix(got, `by "n3": ok`) {
		t.Error(got)
	}
}
