// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// source is an owner in the life that was fenced.
type source struct {
	node     kv.NodeID
	instance kv.Instance
}

// copyPartition brings all that a source holds of a partition here, durably. Where another
// source was copied before, only what is not here yet is fetched.
func (f *Filler) copyPartition(
	ctx context.Context, refill ring.Refill, from source, p uint16,
) error {
	mode := wire.ReadFull
	if f.copied(p) {
		mode = wire.ReadBare
	}
	return f.pages(ctx, refill, from, p, mode, func(t wire.Target, page *wire.ScanReply) error {
		if mode == wire.ReadFull {
			return f.storeAll(ctx, t, page)
		}
		lacking, err := f.lacking(t, page.Entries)
		if err != nil {
			return err
		}
		return f.fetchAll(ctx, refill, from, t, lacking)
	})
}

// compare lists all partitions at all sources, and fetches what is not here. It returns how
// many keys were not: of those that a source listed, and that had not come by themselves a
// pause later (I3).
func (f *Filler) compare(ctx context.Context, refill ring.Refill) (lacked int, err error) {
	current := f.cfg.Ring()
	for _, s := range f.sources() {
		if slices.Contains(refill.Without, s.Node) {
			continue // an operator has said that it is not waited for
		}
		shared := f.shared(current, s.Node)
		for i, p := range shared {
			f.tell(func(st *Status) {
				st.Phase, st.Source, st.Copied, st.Partitions = phaseCompare, s.Node, i, len(shared)
			})
			n, err := f.comparePartition(ctx, refill, source{s.Node, s.Instance}, p)
			lacked += n
			if err != nil {
				return lacked, fmt.Errorf("transfer: %s: partition %d: %w", f.nameOf(s.Node), p, err)
			}
		}
	}
	return lacked, nil
}

func (f *Filler) comparePartition(
	ctx context.Context, refill ring.Refill, from source, p uint16,
) (lacked int, err error) {
	look := func(t wire.Target, page *wire.ScanReply) error {
		lacking, err := f.lacking(t, page.Entries)
		if err != nil || len(lacking) == 0 {
			return err
		}
		if err := sleep(ctx, f.cfg.Settle); err != nil {
			return err
		}
		if lacking, err = f.lacking(t, lacking); err != nil {
			return err
		}
		lacked += len(lacking)
		return f.fetchAll(ctx, refill, from, t, lacking)
	}
	err = f.pages(ctx, refill, from, p, wire.ReadBare, look)
	return lacked, err
}

// pages goes through all that a source holds of a partition.
func (f *Filler) pages(
	ctx context.Context, refill ring.Refill, from source, p uint16, mode wire.ReadMode,
	take func(wire.Target, *wire.ScanReply) error,
) error {
	// Buckets that are made later than this refill began hold nothing that the lost store
	// could have acknowledged.
	for _, bucket := range f.cfg.Buckets() {
		var after []byte
		for more := true; more; {
			q := wire.ScanRequest{
				Target: f.target(from, p, bucket.ID, after), Limit: f.cfg.PageKeys,
				Bytes: f.cfg.PageBytes, Mode: mode,
			}
			page, err := call(ctx, f.cfg.CallTimeout,
				func(at time.Time, done func(wire.ScanReply, error)) {
					f.parts.Peers.Scan(from.node, &q, at, done)
				})
			if err != nil {
				return err
			}
			if page.Code == wire.ReplicaNoBucket {
				break // deleted since
			}
			if err := fit(refill, from, page.Standing, page.Code, page.Detail); err != nil {
				return err
			}
			size := 0
			for i := range page.Entries {
				size += len(page.Entries[i].Key) + page.Entries[i].Object.Size()
			}
			if err := f.parts.Budget.Take(ctx, size); err != nil {
				return err
			}
			if err := take(q.Target, &page); err != nil {
				return err
			}
			if more = page.More && len(page.Entries) > 0; more {
				after = slices.Clone(page.Entries[len(page.Entries)-1].Key)
			}
		}
	}
	return nil
}

func (f *Filler) target(from source, p uint16, bucket kv.BucketID, key []byte) wire.Target {
	return wire.Target{
		Bucket: bucket, Partition: p, Key: key, Placement: f.cfg.Ring().Placement(p).Version,
		Instance: from.instance, RemainingMS: uint32(f.cfg.CallTimeout.Milliseconds()),
	}
}

// fit says why an answer is none of the source that was fenced, as an owner.
func fit(
	refill ring.Refill, from source, s wire.Standing, code wire.ReplicaCode, detail string,
) error {
	switch {
	case code != wire.ReplicaOK:
		return fmt.Errorf("it answers %d: %s", code, detail)
	case s.Instance != from.instance || s.Role != kv.RoleOwner || s.Placement < refill.Since:
		return fmt.Errorf("it answers as %v, instance %d, at placement %d", s.Role, s.Instance,
			s.Placement)
	}
	return nil
}

// lacking are the entries that hold something which is not here.
func (f *Filler) lacking(
	t wire.Target, entries []wire.ScanEntry,
) (lacking []wire.ScanEntry, err error) {
	for _, e := range entries {
		lacks, err := f.parts.Local.Lacks(t.Partition, t.Bucket, e.Key, e.Object)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLocal, err)
		}
		if lacks {
			lacking = append(lacking, e)
		}
	}
	return lacking, nil
}

// fetchAll fetches keys one by one and stores them.
func (f *Filler) fetchAll(
	ctx context.Context, refill ring.Refill, from source, t wire.Target, keys []wire.ScanEntry,
) error {
	for _, e := range keys {
		q := wire.ReadRequest{
			Target: f.target(from, t.Partition, t.Bucket, e.Key), Mode: wire.ReadFull,
		}
		reply, err := call(ctx, f.cfg.CallTimeout,
			func(at time.Time, done func(wire.ReadReply, error)) {
				f.parts.Peers.Read(from.node, &q, at, done)
			})
		if err != nil {
			return err
		}
		if err := fit(refill, from, reply.Standing, reply.Code, reply.Detail); err != nil {
			return err
		}
		if err := f.parts.Budget.Take(ctx, budget.Piece+reply.Object.Size()); err != nil {
			return err
		}
		one := wire.ScanReply{Standing: reply.Standing, Entries: []wire.ScanEntry{
			{Key: e.Key, Object: reply.Object, Raw: reply.Raw},
		}}
		if err := f.storeAll(ctx, t, &one); err != nil {
			return err
		}
	}
	return nil
}

// refusedPause stands between two tries to store what the store had no room for.
const refusedPause = 10 * time.Millisecond

// storeAll merges the objects of a page into this store, and returns when all are durable.
// What there is no room for, as clients fill the same queues, is tried again: a page whose
// last key is never taken would never be copied.
func (f *Filler) storeAll(ctx context.Context, t wire.Target, page *wire.ScanReply) error {
	if err := f.cfg.Points.Hit(PointStore); err != nil {
		return err
	}
	deadline := time.Now().Add(f.cfg.CallTimeout)
	entries := page.Entries
	for {
		refused, why, err := f.storeSome(ctx, t, page.Epoch, entries, deadline)
		switch {
		case err != nil || len(refused) == 0:
			return err
		case len(refused) < len(entries):
			deadline = time.Now().Add(f.cfg.CallTimeout) // it goes on
		case !time.Now().Before(deadline):
			return fmt.Errorf("store a copy: %s", why)
		}
		if err := sleep(ctx, refusedPause); err != nil {
			return err
		}
		entries = refused
	}
}

// storeSome hands objects to this store, and returns those that it had no room for, and why.
func (f *Filler) storeSome(
	ctx context.Context, t wire.Target, epoch kv.PurgeEpoch, entries []wire.ScanEntry,
	deadline time.Time,
) (refused []wire.ScanEntry, why string, err error) {
	type answer struct {
		of    int
		reply wire.StoreReply
	}
	stored := make(chan answer, len(entries)) // one for each
	own := source{f.cfg.Node, f.cfg.Instance}
	for i := range entries {
		e := &entries[i]
		f.parts.Local.Store(replica.StoreRequest{
			StoreRequest: &wire.StoreRequest{
				Target: f.target(own, t.Partition, t.Bucket, e.Key), Role: kv.RoleOwner,
				Class: kv.ClassReplicated, Epoch: epoch, Object: e.Object, Raw: e.Raw,
			},
			Deadline: deadline, Done: func(r wire.StoreReply) { stored <- answer{i, r} },
		})
	}
	faults := 0
	for range entries {
		select {
		case a := <-stored:
			switch a.reply.Code {
			case wire.ReplicaOK, wire.ReplicaNoBucket:
			case wire.ReplicaOverloaded:
				refused, why = append(refused, entries[a.of]), a.reply.Detail
			default:
				if faults++; err == nil {
					err = fmt.Errorf("store a copy: %d: %s", a.reply.Code, a.reply.Detail)
				}
			}
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
	f.tell(func(s *Status) { s.Keys += uint64(len(entries) - len(refused) - faults) })
	return refused, why, err
}
