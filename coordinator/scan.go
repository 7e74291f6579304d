// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// MaxScan is how many keys a page of a scan may have.
	MaxScan = 1024
	// scanBytes is about how many bytes of objects a replica puts into a page, and how
	// many a merged page may have before it ends; a reply holds two of them.
	scanBytes = 1 << 20
)

// Cursor is where a scan goes on: after a key of a partition. The zero Cursor is the
// start.
type Cursor struct {
	Partition uint16
	After     []byte
}

// ScanRequest is a client's request for a page of a bucket's keys.
type ScanRequest struct {
	Bucket   kv.Bucket
	Prefix   []byte
	Start    Cursor
	Limit    int // 1 to MaxScan
	KeysOnly bool
}

// ScanPage is one page, in order of partition, then key.
type ScanPage struct {
	Entries []wire.ScanEntry // live ones only
	// More says that Next is where the scan goes on; a page may be empty and yet have it.
	More bool
	Next Cursor
	// Complete is false where a partition could not be read by r replicas and was left
	// out.
	Complete bool
}

// Scan reads a page of keys from r replicas of each partition, until the page is full,
// the time for a page is over, or all partitions have been read. Beyond an error of
// the request itself it fails only by a page that is not complete.
func (c *Coordinator) Scan(ctx context.Context, req *ScanRequest) (ScanPage, error) {
	if req.Limit < 1 || req.Limit > MaxScan {
		return ScanPage{}, &Error{
			Code: wire.CodeInvalid, Text: fmt.Sprintf("limit %d, must be 1 to %d", req.Limit, MaxScan),
		}
	}
	page := ScanPage{Complete: true, Next: req.Start}
	until := time.Now().Add(c.cfg.ScanTime)
	size := 0
	for len(page.Entries) < req.Limit && size < scanBytes && time.Now().Before(until) {
		part, err := c.scanPartition(ctx, req, page.Next, req.Limit-len(page.Entries))
		switch {
		case err == nil:
		case ctx.Err() != nil && len(page.Entries) > 0:
			page.More = true
			return page, nil // what is there by now is the page
		case isFault(err) || ctx.Err() != nil:
			return ScanPage{}, err
		default:
			part, page.Complete = partPage{}, false
		}
		for _, e := range part.entries {
			size += len(e.Key)
			if !req.KeysOnly { // values that stay where they are take no room
				size += e.Object.Size()
			}
		}
		page.Entries = append(page.Entries, part.entries...)
		if part.more {
			page.Next.After = part.last
			continue
		}
		if int(page.Next.Partition)+1 >= c.cfg.Ring().Partitions() {
			return page, nil
		}
		page.Next = Cursor{Partition: page.Next.Partition + 1}
	}
	page.More = true
	return page, nil
}

// isFault tells a request that is wrong from a partition that can not be read now.
func isFault(err error) bool {
	e, ok := err.(*Error)
	return ok && (e.Code == wire.CodeInvalid || e.Code == wire.CodeNotReady ||
		e.Code == wire.CodeNoSuchBucket)
}

// partPage is a merged page of one partition.
type partPage struct {
	entries []wire.ScanEntry
	last    []byte // up to which key the partition has been read
	more    bool
}

// scanPartition reads one page of one partition from r of its replicas.
func (c *Coordinator) scanPartition(
	ctx context.Context, req *ScanRequest, at Cursor, limit int,
) (partPage, error) {
	current := c.cfg.Ring()
	if current == nil {
		return partPage{}, notFormed()
	}
	if int(at.Partition) >= current.Partitions() {
		return partPage{}, &Error{Code: wire.CodeInvalid, Text: "the cursor is beyond the ring"}
	}
	plan, err := c.planAt(current, req.Bucket, at.Partition, at.After, req.Bucket.R, req.Bucket.PR)
	if err != nil {
		return partPage{}, err
	}
	if err := plan.hopeless(readerOf); err != nil {
		return partPage{}, err
	}
	for tried := range readRounds {
		pages, stamps, err := c.collectPages(ctx, plan, req, limit)
		if err != nil {
			return partPage{}, err
		}
		if plan.sameEpoch(stamps) {
			return mergePages(req.Bucket, pages, limit, c.cfg.Now().UnixMilli()), nil
		}
		if !rested(ctx, againFirst<<tried) {
			break
		}
	}
	return partPage{}, &Error{
		Code: wire.CodeQuorum, Text: "the replicas are at different purge epochs; try again",
	}
}

// scanEvent is one replica's page.
type scanEvent struct {
	target quorum.Target
	reply  wire.ScanReply
	err    error
}

// collectPages asks replicas for their pages until r have answered. One that takes long
// is replaced by the next, as in a read.
func (c *Coordinator) collectPages(
	ctx context.Context, p *plan, req *ScanRequest, limit int,
) ([]wire.ScanReply, []stamped, error) {
	round, err := quorum.NewRead(p.spec)
	if err != nil {
		return nil, nil, invalid(err)
	}
	events := make(chan scanEvent, len(p.spec.Slots)) // one answer of each slot
	deadline := time.Now().Add(c.cfg.ScanTime)
	late := time.NewTimer(c.cfg.ScanTime / scanTries)
	defer late.Stop()
	pages := make([]wire.ScanReply, 0, p.spec.Need)
	stamps := make([]stamped, 0, p.spec.Need)
	var say verdicts
	for {
		c.askPages(p, round, req, limit, deadline, events)
		select {
		case e := <-events:
			say.add(e.reply.Code, e.err)
			before := round.Tally().Got
			decision := round.Add(pageOf(&e))
			if round.Tally().Got > before {
				pages = append(pages, e.reply)
				stamps = append(stamps, stamped{e.target.Node, e.reply.Epoch})
			}
			switch decision {
			case quorum.Reached:
				return pages, stamps, nil
			case quorum.Unreachable:
				return nil, nil, say.shortOf(p, round.Tally(), round.Entries())
			}
		case <-late.C:
			for e := range round.Entries() {
				if e.Standing == quorum.StandingAsked {
					round.Late(e.Target)
				}
			}
		case <-ctx.Done():
			return nil, nil, overdue(ctx, p.textOf(round.Tally(), round.Entries()))
		}
	}
}

// scanTries is into how many tries the time for a page is divided.
const scanTries = 4

// pageOf is a page in the round's words. Even an empty page is knowledge; but one that
// claims to go on, and does not say where, is a mistake that would never end.
func pageOf(e *scanEvent) quorum.Reply {
	if e.err != nil {
		return unanswered(e.target, e.err)
	}
	r := &e.reply
	answer := replyOf(e.target, r.Standing, r.Code, r.Detail, quorum.ResultFound)
	if answer.Result == quorum.ResultFound && r.More && len(r.Entries) == 0 {
		answer.Result, answer.Reason = quorum.ResultFailed, "an empty page that is not the last"
	}
	return answer
}

// askPages asks whomever the round names now, remote ones first, so that they work while
// the local pages are read.
func (c *Coordinator) askPages(
	p *plan, round *quorum.Read, req *ScanRequest, limit int, deadline time.Time,
	events chan<- scanEvent,
) {
	mode := wire.ReadFull
	if req.KeysOnly {
		mode = wire.ReadBare
	}
	var self *wire.ScanRequest
	var at quorum.Target
	for {
		target, more := round.Next()
		if !more {
			break
		}
		ask := &wire.ScanRequest{
			Target: p.target(target, time.Until(deadline).Milliseconds()), Prefix: req.Prefix,
			Limit: uint32(limit), Bytes: scanBytes, Mode: mode,
		}
		if target.Node == c.cfg.Node {
			self, at = ask, target
			continue
		}
		ticket := c.open.add()
		c.peers.Scan(target.Node, ask, deadline, func(reply wire.ScanReply, err error) {
			events <- scanEvent{target, reply, err}
			c.open.done(ticket)
		})
	}
	if self != nil {
		events <- scanEvent{target: at, reply: c.local.Scan(self)}
	}
}

// mergePages merges the replicas' pages up to the smallest last key among those that
// have more: beyond it, a page that ended may lack keys that others show. It ends at
// limit live keys, for pages of different keys are more than one together.
func mergePages(bucket kv.Bucket, pages []wire.ScanReply, limit int, now int64) partPage {
	var out partPage
	objects := make(map[string]kv.Object)
	for _, page := range pages {
		if page.More && len(page.Entries) > 0 {
			last := page.Entries[len(page.Entries)-1].Key
			if !out.more || bytes.Compare(last, out.last) < 0 {
				out.more, out.last = true, last
			}
		}
		for _, e := range page.Entries {
			objects[string(e.Key)] = kv.Merge(objects[string(e.Key)], e.Object)
		}
	}
	for key, object := range objects {
		beyond := out.more && bytes.Compare([]byte(key), out.last) > 0
		if object = object.Collapse(); beyond || len(bucket.Shown(object, now)) == 0 {
			continue
		}
		out.entries = append(out.entries, wire.ScanEntry{Key: []byte(key), Object: object})
	}
	slices.SortFunc(out.entries, func(a, b wire.ScanEntry) int { return bytes.Compare(a.Key, b.Key) })
	if len(out.entries) > limit {
		out.entries = out.entries[:limit]
		out.more, out.last = true, out.entries[limit-1].Key
	}
	return out
}
