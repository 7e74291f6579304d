// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// ErrFounded refuses to found a group where there is the log of one already.
var ErrFounded = errors.New("meta: this directory has a seat in a group already")

// Found writes the first state of a new cluster, in which the first member has the only
// seat. It is a snapshot, so that a member that joins finds a log that begins after it.
// with is written in the same synced step: the node's identity, which without the state,
// or the state without it, would leave a directory that nobody can use.
func Found(
	control *storage.Control, f state.Founding, with ...storage.ControlRecord,
) (*state.State, error) {
	var before wire.RaftState
	if err := load(control, wire.KeyRaftState, wire.DecodeRaftStateRecord, &before); err != nil {
		return nil, err
	}
	if before.Raft != 0 {
		return nil, ErrFounded
	}
	s, err := state.Found(f)
	if err != nil {
		return nil, err
	}
	raft := uint64(s.Members()[0].Raft)
	file := &snapshotFile{data: s.Snapshot(nil)}
	file.head.Index, file.head.Term, file.head.Voters = s.Index(), s.Term(), []uint64{raft}
	keeper := newKeeper(control, zap.NewNop())
	if err := keeper.clean(0); err != nil { // of a founding that did not end
		return nil, err
	}
	if err := keeper.write(file); err != nil {
		return nil, err
	}
	first := wire.RaftState{
		Raft: raft, Epoch: before.Epoch + 1, Term: s.Term(), Commit: s.Index(),
		Base: s.Index(), BaseTerm: s.Term(), Last: s.Index(),
	}
	opens := wire.RaftOpens{Raft: raft}
	opens.List = append(opens.List, f.Open)
	records := append(with, stateRecord(&first), headRecord(&file.head), opensRecord(&opens))
	if err := control.Apply(records...); err != nil {
		return nil, fmt.Errorf("meta: found the group: %w", err)
	}
	return s, nil
}
