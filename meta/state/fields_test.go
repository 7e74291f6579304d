// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// The tests of this file change each field of a value by itself and expect other bytes: a
// field that an encoding forgets would be lost by a snapshot, and no hash would tell.
// Since equal bytes then mean equal values, a value that is decoded and encoded to the same
// bytes has lost nothing.

// leaves calls visit for each number, text, flag and id in v, also in what it points to.
func leaves(path string, v reflect.Value, skip map[string]bool, visit func(string, reflect.Value)) {
	if skip[path] {
		return
	}
	if v.CanAddr() {
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() // unexported too
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			visit(path, v)
			return
		}
		leaves(path, v.Elem(), skip, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			leaves(path+"."+v.Type().Field(i).Name, v.Field(i), skip, visit)
		}
	case reflect.Slice:
		if v.Len() == 0 || v.Type().Elem().Kind() == reflect.Uint8 {
			visit(path, v)
			return
		}
		for i := range v.Len() {
			leaves(path+"[]", v.Index(i), skip, visit)
		}
	default:
		visit(path, v)
	}
}

// changed sets v to another value, and returns how to set it back. It fails for kinds that
// nothing here has.
func changed(v reflect.Value) (undo func(), err error) {
	before := reflect.ValueOf(v.Interface())
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 1)
	case reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return nil, fmt.Errorf("there is none in the sample")
		}
		v.SetBytes(append([]byte("x"), v.Bytes()...))
	default:
		return nil, fmt.Errorf("a %v", v.Kind())
	}
	return func() { v.Set(before) }, nil
}

// checkFields changes each leaf of the value that p points to. Of the leaves of one path
// one at least must have been there to change.
func checkFields(t *testing.T, p any, encode func() []byte, skip ...string) {
	t.Helper()
	skipped := make(map[string]bool)
	for _, path := range skip {
		skipped[path] = true
	}
	missing, checked := make(map[string]error), make(map[string]bool)
	original := encode()
	leaves("", reflect.ValueOf(p).Elem(), skipped, func(path string, v reflect.Value) {
		undo, err := changed(v)
		if err != nil {
			missing[path] = err
			return
		}
		checked[path] = true
		if bytes.Equal(original, encode()) {
			t.Errorf("%T%s can change without its encoding", p, path)
		}
		undo()
	})
	for path, err := range missing {
		for other := range checked {
			if len(other) > len(path) && other[:len(path)] == path {
				err = nil // another element of the list had one
			}
		}
		if err != nil {
			t.Errorf("%T%s: %v", p, path, err)
		}
	}
	if !bytes.Equal(original, encode()) {
		t.Fatal("the test has not put everything back")
	}
}

func TestASnapshotForgetsNoField(t *testing.T) {
	s := story(t)
	checkFields(t, s, func() []byte { return s.Snapshot(nil) },
		// Computed from the rest:
		".byName", ".built", ".view", ".viewChanged", ".answers.byRequest",
		// Part of the snapshot as data, below:
		".locks",
		// Nothing where the slot is stable; below.
		".placements[].Slots[].Next")
}

func TestASnapshotForgetsNoFieldOfASlotThatMoves(t *testing.T) {
	p := ring.Placement{Version: 5, Slots: []kv.Slot{
		{Owner: 1, Next: 2, Phase: kv.PhaseWriteBothReadOld},
		{Owner: 3, Next: 4, Phase: kv.PhaseWriteBothReadNew},
	}}
	checkFields(t, &p, func() []byte { return appendPlacement(nil, p) })
	r := reader{b: appendPlacement(nil, p)}
	if got := r.placements(1, 2); r.err != nil || !reflect.DeepEqual(got[0], p) {
		t.Errorf("%v was read as %v, %v", p, got, r.err)
	}
}

func TestASnapshotForgetsNoFieldOfTheLocks(t *testing.T) {
	session := locks.Session{
		ID: locks.SessionID{1}, Name: "s", Owner: 2, TTL: time.Minute, Created: 3,
		DoneThrough: 4, Done: []locks.Interval{{First: 6, Last: 7}},
	}
	checkFields(t, &session, func() []byte { return appendSession(nil, &session) })
	r := reader{b: appendSession(nil, &session)}
	if got := r.lockSession(); r.err != nil || !reflect.DeepEqual(got, session) {
		t.Errorf("%v was read as %v, %v", session, got, r.err)
	}
	lock := locks.Lock{
		Name: "x", Kind: 1, Limit: 2, Delay: 3,
		Holders: []locks.Grant{{Holder: 1, Permits: 2, Fence: 3, Index: 4, Value: []byte("v")}},
		Queue:   []locks.Waiter{{Holder: 1, Kind: 2, Permits: 3, Value: []byte("w"), Index: 4}},
	}
	checkFields(t, &lock, func() []byte { return appendLock(nil, &lock) })
	r = reader{b: appendLock(nil, &lock)}
	if got := r.lock(); r.err != nil || !reflect.DeepEqual(got, lock) {
		t.Errorf("%v was read as %v, %v", lock, got, r.err)
	}
}

// The table as a whole has a session, a holder, a waiter and an ended session in the story.
func TestASnapshotHasAllParts(t *testing.T) {
	s := story(t)
	d := s.Locks().Export()
	if len(d.Sessions) == 0 || len(d.Ended) == 0 || len(d.Locks) == 0 ||
		len(d.Locks[0].Holders) == 0 || len(d.Locks[0].Queue) == 0 || d.Fence == 0 {
		t.Fatalf("the story lacks something: %+v", d)
	}
	if diff := cmp.Diff(d, restored(t, s).Locks().Export()); diff != "" {
		t.Error(diff)
	}
}

func TestACommandForgetsNoField(t *testing.T) {
	for _, c := range samples() {
		p := reflect.New(reflect.TypeOf(c))
		p.Elem().Set(reflect.ValueOf(c))
		leaves("", p.Elem(), nil, func(path string, v reflect.Value) {
			if v.IsZero() && !(path == ".IDs[]") {
				t.Errorf("the sample of %T has no %s", c, path)
			}
		})
		checkFields(t, p.Interface(), func() []byte {
			return AppendCommand(nil, p.Elem().Interface().(Command))
		})
	}
}

func TestAViewForgetsNoField(t *testing.T) {
	v := *story(t).View()
	// The ring is compared where views keep their bytes. Its version is the view's.
	checkFields(t, &v, func() []byte { return AppendView(nil, &v) }, ".Ring")
}

// resultSamples are an empty result and a full one.
func resultSamples(t *testing.T) []Result {
	m := *story(t).members[2]
	m.accepted, m.refused = nil, nil
	b := samples()[11].(BucketCreate).Bucket
	return []Result{{Code: CodeOK}, {
		Code: CodeRefused, Detail: "a reason", Member: &m, Verdict: kv.VerdictForked, Bucket: &b,
		Plan: 300, Epoch: 1<<48 | 3, Generation: 2,
		Lock: locks.Result{
			Code: locks.CodeQueued, Detail: "a reason", Fence: 7, Index: 8, Position: 9,
			Released: true, TTL: time.Minute,
		},
	}}
}

func TestAResultForgetsNoField(t *testing.T) {
	r := resultSamples(t)[1]
	checkFields(t, &r, func() []byte { return AppendResult(nil, &r) },
		".Member.accepted", ".Member.refused")
}
