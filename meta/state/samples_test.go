// SPDX-License-Identifier: Apache-2.0

package state

import (
	"time"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// samples has every command once, with no field at its zero value.
func samples() []Command {
	session := locks.SessionID{0: 0x5e, 15: 1}
	return []Command{
		RegisterMember{
			Name: "n-2", Zone: "rack-7", Weight: 300, Addresses: addressesOf(2), Expect: 3,
			Replicas: 2,
		},
		OpenStore{
			Node: 2, Opens: []kv.Open{{Seq: 1, Nonce: 0xa1}, {Seq: 300, Nonce: 1 << 63}},
			Addresses: addressesOf(2),
		},
		AssignRaft{Node: 2, For: kv.Open{Seq: 7, Nonce: 0xa2}, Previous: 2<<48 | 5},
		DropRaft{Raft: 2<<48 | 1<<43 | 6},
		FormRing{},
		ProposePlan{Request: requestOf(1), Moves: []ring.Move{
			{Partition: 300, Slot: 1, From: 2, To: 3}, {Partition: 2, Slot: 2, From: 1, To: 400},
		}},
		CommitPlan{Plan: 1<<48 | 9},
		MoveStep{Plan: 1<<48 | 9, Move: 200, Step: ring.StepSwitched},
		AbortPlan{Plan: 1<<48 | 9},
		NewInstance{Node: 2, Previous: 1<<48 | 4, For: kv.Open{Seq: 7, Nonce: 0xa2}},
		PurgeEpoch{
			Request: requestOf(2), Partition: 300, Placement: 1<<48 | 4, After: 1<<48 | 3,
		},
		BucketCreate{Request: requestOf(3), Bucket: kv.Bucket{
			ID: 1<<27 | 5, Name: "orders", N: 3, R: kv.LevelOne, W: kv.LevelAll, PR: 1, PW: 2,
			Sloppy: true, LWW: true, TTL: 86_400_000, Fenced: true,
		}},
		BucketUpdate{
			Request: requestOf(4), Name: "orders", ID: 1<<27 | 5, R: kv.LevelQuorum, W: 2,
			PR: kv.LevelZero, PW: 1, SetSloppy: true, Sloppy: true, SetTTL: true, TTL: 60_000,
		},
		BucketDelete{Request: requestOf(5), Name: "orders", ID: 1<<27 | 5},
		GenerationBump{Previous: 3},
		VersionSet{Version: 1},
		SessionOpen{ID: session, Name: "host-7", Owner: 2, TTL: 15 * time.Second},
		SessionClose{ID: session},
		SessionExpire{IDs: []locks.SessionID{session, {1}}, Term: 300},
		Acquire{
			Session: session, Holder: 300, DoneThrough: 299, Name: "jobs/compact",
			Kind: locks.KindShared, Limit: 4, Permits: 2, Value: []byte("mine"),
			Wait: 30 * time.Second, Delay: time.Second,
		},
		Cancel{Session: session, Holder: 300, Name: "jobs/compact"},
		CancelWait{Session: session, Holder: 300, Name: "jobs/compact"},
		Release{Session: session, Holder: 300, Name: "jobs/compact", Fence: 1<<48 | 77},
		SetValue{
			Session: session, Holder: 300, Name: "jobs/compact", Fence: 1<<48 | 77, Revision: 2,
			Value: []byte("still mine"),
		},
		ForceRelease{Name: "jobs/compact", Fence: 1<<48 | 77, By: "ops", Reason: "it hangs"},
		EndDelay{Name: "jobs/compact", Delay: 5},
		PurgeCommit{Partition: 300, Placement: 1<<48 | 4, Epoch: 1<<48 | 5},
		AcceptLoss{Node: 2, Instance: 1<<48 | 5, Without: []kv.NodeID{1, 300}},
		FinishRefill{
			Node: 2, Instance: 1<<48 | 5, Open: kv.Open{Seq: 8, Nonce: 0xa3}, Fence: 1<<48 | 6,
			Sources: []ring.Source{{Node: 1, Instance: 1<<48 | 1}, {Node: 300, Instance: 9}},
		},
	}
}

// story is a state in which there is something of everything.
func story(tb rapid.TB) *State {
	l := formed(tb)
	l.ok(GenerationBump{Previous: 0})
	l.ok(registration(4))
	for id := kv.NodeID(2); id <= 3; id++ {
		l.ok(AssignRaft{Node: id, For: openingOf(id, 1)})
	}
	l.ok(OpenStore{Node: 3, Opens: []kv.Open{openingOf(3, 77)}})
	l.ok(AssignRaft{Node: 3, For: openingOf(3, 77), Previous: l.members[2].Raft})
	l.ok(OpenStore{Node: 3, Opens: []kv.Open{openingOf(3, 88)}})
	l.ok(BucketCreate{Request: requestOf(1), Bucket: kv.Bucket{Name: "orders", TTL: 9, LWW: true}})
	l.ok(BucketCreate{Request: requestOf(2), Bucket: kv.Bucket{Name: "gone"}})
	l.ok(BucketDelete{Request: requestOf(3), Name: "gone"})
	l.want(CodeExists, BucketCreate{Request: requestOf(4), Bucket: kv.Bucket{Name: "orders"}})
	late := l.ok(registration(5)).Member.ID
	l.ok(OpenStore{Node: late, Opens: []kv.Open{openingOf(late, 1)}})
	l.ok(ProposePlan{Request: requestOf(5), Moves: []ring.Move{
		{Partition: 1, Slot: 2, From: l.placements[1].Slots[2].Owner, To: late},
	}})
	at := l.placements[2].Version
	first := l.ok(PurgeEpoch{Request: requestOf(6), Partition: 2, Placement: at}).Epoch
	l.ok(PurgeCommit{Partition: 2, Placement: at, Epoch: first})
	l.ok(PurgeEpoch{Request: requestOf(7), Partition: 2, Placement: at, After: first})
	l.ok(NewInstance{Node: 3, Previous: l.members[2].Instance, For: openingOf(3, 88)})
	l.ok(AcceptLoss{Node: 3, Instance: l.members[2].Instance, Without: []kv.NodeID{1}})
	l.term = 2
	one, two, gone := locks.SessionID{1}, locks.SessionID{2}, locks.SessionID{3}
	l.entry(
		SessionOpen{ID: one, Name: "one", Owner: 1, TTL: 15 * time.Second},
		SessionOpen{ID: two, Name: "two", Owner: 2, TTL: time.Minute},
		SessionOpen{ID: gone, Name: "gone", Owner: 2, TTL: time.Minute}, SessionClose{ID: gone},
		Acquire{Session: one, Holder: 9, DoneThrough: 4, Name: "x", Kind: locks.KindExclusive,
			Value: []byte("first")},
		Cancel{Session: one, Holder: 6, Name: "x"}, Cancel{Session: one, Holder: 12, Name: "x"},
		Acquire{Session: two, Holder: 1, Name: "x", Kind: locks.KindShared, Wait: time.Hour,
			Value: []byte("second")},
	)
	return l.State
}
