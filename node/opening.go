// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// ErrOtherIdentity refuses a directory that belongs to another member or cluster.
var ErrOtherIdentity = errors.New("node: the directory belongs to another node")

// maxOpens bounds the openings that were never confirmed. A store that was opened so
// often without ever hearing from its group needs a person.
const maxOpens = 4096

// opening is this opening of a store: what was found, and what is written about it.
type opening struct {
	control  *storage.Control
	identity wire.Identity
	boot     string
	past     replica.Past
	// born is which life of the store the directory held when it was opened; immutable.
	born    wire.Life
	life    wire.Life // as it is noted now; owned by whoever confirms
	written bool      // this opening is durable
	refused bool      // the group has refused this store, now or before; durable
	points  *fail.Set
}

// begin reads what the directory tells of its past. Of a store that existed, the new
// opening is made durable, and the clean mark removed, before anything else can happen
// (I2); nothing is written into an empty one until the group says that it may be empty; only
// what an earlier life of it had heard of a group goes.
// empty says that there is no data: where the clean mark tells of writes, that is an empty
// store, and the marked incarnations must not go on without what they wrote (TRAPS C5).
func begin(
	control *storage.Control, want wire.Identity, boot string, nonce uint64, empty bool,
	points *fail.Set,
) (*opening, error) {
	o := &opening{control: control, identity: want, boot: boot, points: points}
	record, found, err := control.Get(wire.KeyIdentity)
	if err != nil {
		return nil, fmt.Errorf("node: read identity: %w", err)
	}
	fresh := replica.Past{Stop: replica.StopNone, Opens: []kv.Open{{Seq: 1, Nonce: nonce}}}
	if !found {
		o.past = fresh
		return o, o.forgetGroup()
	}
	if err := o.checkIdentity(record); err != nil {
		return nil, err
	}
	if err := o.readPast(); err != nil {
		return nil, err
	}
	if empty {
		o.past.Purges = nil // whatever it confirmed is gone (TRAPS G5)
	}
	if err := o.readLife(); err != nil {
		return nil, err
	}
	if empty && len(o.past.Marks) > 0 {
		fresh.Fences, fresh.Filling = o.past.Fences, o.past.Filling
		o.past = fresh
		return o, nil
	}
	next := kv.Open{Seq: o.past.Present().Seq + 1, Nonce: nonce}
	o.past.Opens = append(o.past.Opens, next)
	if len(o.past.Opens) > maxOpens {
		return nil, fmt.Errorf("node: the store was opened %d times without being confirmed; "+
			"find out why its group does not accept it", maxOpens)
	}
	return o, o.write(false)
}

// forgetGroup removes what a life that never became a member has kept of the group that it
// heard of: the next one may be of another cluster, where the same numbers are others'.
func (o *opening) forgetGroup() error {
	var records []storage.ControlRecord
	for _, key := range []string{wire.KeyRaftView, wire.KeyRaftPeers} {
		_, found, err := o.control.Get(key)
		if err != nil && !errors.Is(err, storage.ErrUnreadable) {
			return fmt.Errorf("node: read %s: %w", key, err)
		}
		if found || err != nil {
			records = append(records, storage.ControlRecord{Key: key}) // removed
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := o.control.Apply(records...); err != nil {
		return fmt.Errorf("node: forget a group that was never joined: %w", err)
	}
	return nil
}

func (o *opening) checkIdentity(record []byte) error {
	found, err := wire.DecodeIdentityRecord(record)
	if err != nil {
		return fmt.Errorf("node: read identity: %w", err)
	}
	if found.Cluster != o.identity.Cluster || found.Node != o.identity.Node {
		return fmt.Errorf("%w: it holds node %q (number %d) of cluster %x, this is node %q "+
			"(number %d) of cluster %x", ErrOtherIdentity, found.Name, found.Node, found.Cluster,
			o.identity.Name, o.identity.Node, o.identity.Cluster)
	}
	o.identity = found
	return nil
}

// readPast reads how the last life ended.
func (o *opening) readPast() error {
	record, found, err := o.control.Get(wire.KeyOpens)
	if err == nil && !found {
		err = storage.ErrUnreadable // it is written together with the identity
	}
	if err != nil {
		return fmt.Errorf("node: read openings: %w", err)
	}
	opens, err := wire.DecodeOpensRecord(record)
	if err != nil {
		return fmt.Errorf("node: read openings: %w", err)
	}
	o.past.Opens, o.refused = opens.List, opens.Refused
	record, clean, err := o.control.Get(wire.KeyCleanMark)
	if err != nil {
		return fmt.Errorf("node: read clean mark: %w", err)
	}
	if err := o.readPurges(); err != nil {
		return err
	}
	o.past.Stop = replica.JudgeStop(opens.BootID, o.boot, clean)
	if !clean {
		return nil
	}
	mark, err := wire.DecodeCleanMarkRecord(record)
	if err != nil {
		return fmt.Errorf("node: read clean mark: %w", err)
	}
	o.past.Marks, o.past.Stamp = mark.Actors, mark.Stamp
	o.past.Trees = o.readTrees(mark.TreeParts)
	return nil
}

// write makes this opening durable. Once it is confirmed, those before it are forgotten.
func (o *opening) write(confirmed bool) error {
	point := PointOpening
	if confirmed {
		point = PointConfirmed
	}
	err := o.points.Hit(point)
	if err == nil {
		err = o.control.Apply(o.records(confirmed)...)
	}
	if err != nil {
		return fmt.Errorf("node: write opening: %w", err)
	}
	o.written = true
	return nil
}

// records are what the directory keeps of this opening.
func (o *opening) records(confirmed bool) []storage.ControlRecord {
	opens := wire.Opens{
		List: o.past.Opens, Confirmed: -1, BootID: o.boot, Refused: o.refused,
	}
	if confirmed {
		opens.List, opens.Confirmed = []kv.Open{o.past.Present()}, 0
	}
	records := []storage.ControlRecord{
		{Key: wire.KeyIdentity, Record: wire.AppendIdentityRecord(nil, &o.identity)},
		{Key: wire.KeyOpens, Record: wire.AppendOpensRecord(nil, &opens)},
		{Key: wire.KeyCleanMark}, // removed
	}
	if mutant.On(mutant.CleanMarkStays) {
		records = records[:2]
	}
	if o.life != (wire.Life{}) {
		records = append(records, storage.ControlRecord{
			Key: wire.KeyLife, Record: wire.AppendLifeRecord(nil, &o.life),
		})
	}
	return records
}

// confirm asks the group about this opening. The verdict is unknown where it could not
// be asked; then the caller asks again. The error is the store's.
func (o *opening) confirm(ctx context.Context, group Group, log *zap.Logger) (
	kv.Verdict, error,
) {
	if !o.written {
		last, err := group.LastOpen(ctx, o.identity.Node)
		if err != nil {
			warnOf(log, err)
			return kv.VerdictUnknown, nil
		}
		if v := kv.JudgeOpens(last, nil); v != kv.VerdictConfirmed {
			return v, nil
		}
		if err := o.write(false); err != nil {
			return kv.VerdictUnknown, err
		}
	}
	verdict, instance, err := kv.VerdictUnknown, kv.Instance(0), o.points.Hit(PointConfirm)
	if err == nil {
		verdict, instance, err = group.ConfirmOpen(ctx, o.identity.Node, o.past.Opens)
	}
	if err != nil {
		warnOf(log, err)
		return kv.VerdictUnknown, nil
	}
	if verdict == kv.VerdictConfirmed && !o.accepted(instance) {
		verdict = kv.VerdictForked
	}
	switch {
	case verdict == kv.VerdictConfirmed && o.refused:
		// The group was put back to before it knew better (meta recover); the store is what it was.
		return kv.VerdictForked, nil
	case verdict == kv.VerdictConfirmed:
		return verdict, o.write(true)
	case verdict != kv.VerdictUnknown && !o.refused:
		return verdict, o.refuse()
	}
	return verdict, nil
}

// refuse makes it durable that the group does not accept this store: the next process may
// not reach the group, and must not serve what this one may not.
func (o *opening) refuse() error {
	o.refused = true
	return o.write(false)
}

// warnOf tells that the group was not reached, unless it was this node that gave up since
// it ends.
func warnOf(log *zap.Logger, err error) {
	if !errors.Is(err, context.Canceled) {
		log.Warn("group not reached", zap.Error(err))
	}
}

// leaveCleanMark is the last write of a store that was stopped in order; its trees come
// before it.
func (o *opening) leaveCleanMark(r *replica.Replica) error {
	if !o.written {
		return nil // an empty store that was never accepted
	}
	parts, err := o.leaveTrees(r.CleanTrees())
	if err != nil {
		return err
	}
	actors, stamp := r.CleanActors()
	mark := wire.CleanMark{BootID: o.boot, Actors: actors, Stamp: stamp, TreeParts: parts}
	err = o.points.Hit(PointCleanMark)
	if err == nil {
		err = o.control.Put(wire.KeyCleanMark, wire.AppendCleanMarkRecord(nil, &mark))
	}
	if err != nil {
		return fmt.Errorf("node: write clean mark: %w", err)
	}
	return nil
}
