// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func TestAnEntryWithoutCommandsOnlyMovesThePlaceInTheLog(t *testing.T) {
	l := formed(t)
	before := body(l.State)
	for _, entry := range [][]byte{nil, {}, AppendEntry(nil, Token{})} {
		index := l.Index() + 1
		applied, err := l.Apply(index, 4, entry)
		if err != nil || len(applied.Results) != 0 || applied.View {
			t.Fatalf("%x: %+v, %v", entry, applied, err)
		}
		if l.Index() != index || l.Term() != 4 || !bytes.Equal(before, body(l.State)) {
			t.Errorf("%x left the state at index %d, term %d", entry, l.Index(), l.Term())
		}
	}
}

func TestEntriesAreAppliedInOrderAndOnce(t *testing.T) {
	l := formed(t)
	l.term = 5
	l.entry()
	entry := AppendEntry(nil, Token{}, registration(4))
	for _, at := range []struct{ index, term uint64 }{
		{l.Index(), 5}, {l.Index() - 1, 5}, {l.Index() + 2, 5}, {l.Index() + 1, 4},
	} {
		before := l.Hash()
		if _, err := l.Apply(at.index, at.term, entry); !errors.Is(err, ErrGap) {
			t.Errorf("entry %d of term %d was applied: %v", at.index, at.term, err)
		}
		if l.Hash() != before {
			t.Errorf("entry %d of term %d changed the state", at.index, at.term)
		}
	}
}

func TestTheTokenOfAnEntryComesBackWithItsResults(t *testing.T) {
	l := formed(t)
	token := Token{Raft: 1<<48 | 1, Seq: 77}
	applied, err := l.Apply(l.Index()+1, l.term, AppendEntry(nil, token, FormRing{}, DropRaft{}))
	if err != nil || applied.Token != token || len(applied.Results) != 2 {
		t.Errorf("%+v, %v", applied, err)
	}
}

// Goal: I3. A command that this release does not know must stop it, not be passed over,
// and what stands before it in the entry must not be applied either.
func TestACommandThatCanNotBeUnderstoodStopsTheState(t *testing.T) {
	known := AppendCommand(nil, registration(4))
	form := AppendCommand(nil, FormRing{})
	newer := bytes.Clone(form)
	newer[1]++
	for name, c := range map[string]struct {
		entry []byte
		want  error
	}{
		"a command of a newer version": {AppendEntryOf(nil, Token{}, known, newer), ErrUnknown},
		"a newer command": {
			AppendEntryOf(nil, Token{}, known, []byte{byte(lastKind) + 1, 1}), ErrUnknown,
		},
		"command 0":              {AppendEntryOf(nil, Token{}, known, []byte{0, 1}), ErrUnknown},
		"a newer entry":          {[]byte{entryVersion + 1, 0, 0, 0}, ErrUnknown},
		"a newer group":          {AppendEntry(nil, Token{}, VersionSet{Version + 1}), ErrUnknown},
		"a command cut off":      {AppendEntryOf(nil, Token{}, known[:len(known)-1]), ErrDamaged},
		"a command with more":    {AppendEntryOf(nil, Token{}, append(form, 0)), ErrDamaged},
		"half a command":         {AppendEntryOf(nil, Token{}, form[:1], nil), ErrDamaged},
		"an entry cut off":       {AppendEntryOf(nil, Token{}, form)[:5], ErrDamaged},
		"an entry with more":     {append(AppendEntryOf(nil, Token{}, form), 0), ErrDamaged},
		"more commands than fit": {[]byte{entryVersion, 0, 0, 0xff, 0xff, 0xff, 0xff, 1}, ErrDamaged},
		"a number that is long":  {[]byte{entryVersion, 0x80, 0, 0, 0}, ErrDamaged},
	} {
		l := formed(t)
		before := l.Hash()
		if _, err := l.Apply(l.Index()+1, l.term, c.entry); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if l.Hash() != before {
			t.Errorf("%s: a part of the entry was applied", name)
		}
	}
}

func TestASnapshotThatNoStateHasIsRefused(t *testing.T) {
	good := story(t)
	snapshot := good.Snapshot(nil)
	for n := range snapshot {
		if _, err := Restore(snapshot[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("the first %d bytes were taken for a snapshot: %v", n, err)
		}
	}
	newer := bytes.Clone(snapshot)
	newer[0]++
	if _, err := Restore(newer); !errors.Is(err, ErrUnknown) {
		t.Errorf("a snapshot of a newer release: %v", err)
	}
	for name, change := range map[string]func(*State){
		"a node above the last issued": func(s *State) { s.issued.node = 4 },
		"an instance above the issued": func(s *State) { s.issued.instance = 3 },
		"a raft id above the issued":   func(s *State) { s.issued.raft = 2 },
		"a bucket above the issued":    func(s *State) { s.issued.bucket = 1 },
		"a plan above the issued":      func(s *State) { s.issued.plan = 0 },
		"two members of one name":      func(s *State) { s.members[1].Name = "n-1" },
		"members out of order":         func(s *State) { s.members[1].ID = 1 },
		"buckets out of order":         func(s *State) { s.buckets[0].Name = "z" },
		"two answers to one request": func(s *State) {
			s.answers.list[1].request = s.answers.list[0].request
		},
		"an owner that is no member":      func(s *State) { s.placements[0].Slots[0].Owner = 99 },
		"a formed cluster without a ring": func(s *State) { s.partitions = 0 },
		"a ring of no replicas":           func(s *State) { s.replicas = 0 },
		"a generation that can not be":    func(s *State) { s.generation = kv.MaxGeneration + 1 },
		"the version of a newer release":  func(s *State) { s.version = Version + 1 },
	} {
		s := story(t)
		change(s)
		_, err := Restore(s.Snapshot(nil))
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&State{}).complete(good.Locks().Export()); err != nil {
		t.Errorf("the locks of a state are none: %v", err)
	}
	twice := good.Locks().Export()
	twice.Sessions = append(twice.Sessions, twice.Sessions[0])
	if err := (&State{}).complete(twice); !errors.Is(err, ErrDamaged) {
		t.Errorf("a session twice: %v", err)
	}
}

// Goal: I7. Method: lists that say they are long, in few bytes.
func TestALengthThatIsNotThereIsNotBelieved(t *testing.T) {
	request := requestOf(1)
	long := binary.AppendUvarint(nil, 900_000)
	young := begin(t, 3, 3).Snapshot(nil)
	for name, hostile := range map[string]struct {
		b      []byte
		decode func([]byte) error
	}{
		"an entry": {
			[]byte{entryVersion, 0, 0},
			func(b []byte) error { _, _, err := DecodeEntry(b); return err },
		},
		"openings":  {[]byte{byte(kindOpenStore), commandVersion, 2}, commandError},
		"moves":     {append([]byte{byte(kindProposePlan), commandVersion}, request[:]...), commandError},
		"sessions":  {[]byte{byte(kindSessionExpire), commandVersion, 1}, commandError},
		"the locks": {young[:len(young)-2], func(b []byte) error { _, err := Restore(b); return err }},
		"the view": {
			append([]byte{viewVersion}, make([]byte, 16+8)...),
			func(b []byte) error { _, err := DecodeView(b); return err },
		},
	} {
		b := append(append(hostile.b, long...), make([]byte, 1000)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := hostile.decode(b)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s of %d bytes took %d bytes of memory", name, len(b), took)
		}
	}
}

func commandError(b []byte) error {
	_, err := DecodeCommand(b)
	return err
}

func TestLockCommandsAnswerWithEventsBesideTheirResults(t *testing.T) {
	l := formed(t)
	applied := l.entry(samples()[16]) // SessionOpen
	if r := applied.Results[0]; r.Code != CodeOK || r.Lock.TTL == 0 || r.Member != nil {
		t.Errorf("the answer is %+v", r)
	}
	if len(applied.Events) != 1 || applied.Events[0].Index != l.Index() || applied.View {
		t.Errorf("the entry caused %+v", applied.Events)
	}
	if l.entry().Events != nil {
		t.Error("events come twice")
	}
}
