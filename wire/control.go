// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Control records are arrays of their fields in order, like messages between peers: a
// later release appends fields, and an earlier one skips them.

// Identity is who a data directory belongs to. It is written once.
type Identity struct {
	Cluster [16]byte
	Node    kv.NodeID
	Name    string
	Created int64 // Unix milliseconds
}

// Opens are a store's openings since the last one that was confirmed, that one included
// (ARCHITECTURE 6), oldest first: Seq rises strictly.
type Opens struct {
	List []kv.Open
	// Confirmed is the index of the confirmed one, -1 where none ever was.
	Confirmed int
	// BootID names the machine's boot in which the newest opening happened: a store that
	// finds another one, and no clean mark, went through a power loss (TRAPS C6).
	BootID string
	// Refused says that the group has refused one of them: what the store lacks may not be
	// read until the group itself says otherwise.
	Refused bool
}

// ActorMark is an incarnation that a clean stop kept, with its high-water mark.
type ActorMark struct {
	Partition uint16
	Role      kv.Role
	Actor     vclock.Actor
	Counter   uint64 // the highest that was issued; 0 where none was
}

// CleanMark is what a clean stop leaves behind. It is removed, durably, before the first
// dot is minted after it.
type CleanMark struct {
	BootID string // of the machine's boot in which the store was stopped
	Actors []ActorMark
	Stamp  kv.Stamp // the highest of the store's clock
	// TreeParts is how many records of TreePartKey belong to this stop.
	TreeParts uint32
}

const (
	identityFields  = 4
	opensFields     = 4
	opensBefore     = 3 // fields of stores from before Refused
	openFields      = 2
	cleanFields     = 4
	cleanBefore     = 3 // fields of marks from before TreeParts
	actorMarkFields = 4
)

// AppendIdentityRecord appends the record that stands under KeyIdentity.
func AppendIdentityRecord(dst []byte, id *Identity) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|identityFields)
	dst = appendBin(dst, id.Cluster[:])
	dst = appendUint(dst, uint64(id.Node))
	dst = appendStr(dst, id.Name)
	dst = appendUint(dst, uint64(id.Created))
	SealRecord(dst[start:], FormatIdentity, []byte(KeyIdentity))
	return dst
}

// DecodeIdentityRecord reads the record that stands under KeyIdentity. It returns
// ErrRecord for anything else.
func DecodeIdentityRecord(rec []byte) (id Identity, err error) {
	r, err := openControl(FormatIdentity, KeyIdentity, rec)
	if err != nil {
		return Identity{}, err
	}
	extra := r.tuple(identityFields)
	r.fixed(id.Cluster[:])
	id.Node = kv.NodeID(r.uint16())
	id.Name = r.text(MaxName)
	id.Created = r.milli()
	r.extras(extra)
	return id, r.record()
}

// AppendOpensRecord appends the record that stands under KeyOpens.
func AppendOpensRecord(dst []byte, o *Opens) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|opensFields)
	dst = appendArray(dst, len(o.List))
	for _, open := range o.List {
		dst = appendUint(append(dst, 0x90|openFields), open.Seq)
		dst = appendUint(dst, open.Nonce)
	}
	if o.Confirmed < 0 {
		dst = appendNil(dst)
	} else {
		dst = appendUint(dst, uint64(o.Confirmed))
	}
	dst = appendStr(dst, o.BootID)
	dst = appendBool(dst, o.Refused)
	SealRecord(dst[start:], FormatOpens, []byte(KeyOpens))
	return dst
}

// DecodeOpensRecord reads the record that stands under KeyOpens. It returns ErrRecord
// for anything else.
func DecodeOpensRecord(rec []byte) (Opens, error) {
	r, err := openControl(FormatOpens, KeyOpens, rec)
	if err != nil {
		return Opens{}, err
	}
	extra := r.tuple(opensBefore)
	n := r.array(1 + openFields)
	o := Opens{List: make([]kv.Open, n), Confirmed: -1}
	for i := range o.List {
		more := r.tuple(openFields)
		o.List[i] = kv.Open{Seq: r.uint64(), Nonce: r.uint64()}
		r.extras(more)
		if r.err == nil && i > 0 && o.List[i-1].Seq >= o.List[i].Seq {
			r.fail(invalid(r.field, "openings are out of order"))
		}
	}
	if !r.isNil() {
		o.Confirmed = int(r.uint32())
		if r.err == nil && o.Confirmed >= len(o.List) {
			r.fail(invalid(r.field, "opening %d of %d is confirmed", o.Confirmed, len(o.List)))
		}
	}
	o.BootID = r.text(MaxName)
	if extra > 0 {
		o.Refused = r.bool()
		extra--
	}
	r.extras(extra)
	return o, r.record()
}

// AppendCleanMarkRecord appends the record that stands under KeyCleanMark.
func AppendCleanMarkRecord(dst []byte, m *CleanMark) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|cleanFields)
	dst = appendStr(dst, m.BootID)
	dst = appendArray(dst, len(m.Actors))
	for i := range m.Actors {
		a := &m.Actors[i]
		dst = appendUint(append(dst, 0x90|actorMarkFields), uint64(a.Partition))
		dst = appendUint(dst, uint64(a.Role))
		dst = appendUint(dst, uint64(a.Actor))
		dst = appendUint(dst, a.Counter)
	}
	dst = appendUint(dst, uint64(m.Stamp))
	dst = appendUint(dst, uint64(m.TreeParts))
	SealRecord(dst[start:], FormatCleanMark, []byte(KeyCleanMark))
	return dst
}

// DecodeCleanMarkRecord reads the record that stands under KeyCleanMark. It returns
// ErrRecord for anything else.
func DecodeCleanMarkRecord(rec []byte) (m CleanMark, err error) {
	r, err := openControl(FormatCleanMark, KeyCleanMark, rec)
	if err != nil {
		return CleanMark{}, err
	}
	extra := r.tuple(cleanBefore)
	m.BootID = r.text(MaxName)
	m.Actors = make([]ActorMark, r.array(1+actorMarkFields))
	for i := range m.Actors {
		a := &m.Actors[i]
		more := r.tuple(actorMarkFields)
		a.Partition = r.uint16()
		a.Role = r.role()
		a.Actor = vclock.Actor(r.uint64())
		a.Counter = r.uint(vclock.MaxCounter)
		r.extras(more)
		if r.err != nil {
			break
		}
	}
	m.Stamp = kv.Stamp(r.uint64())
	if extra > 0 {
		m.TreeParts = r.uint32()
		extra--
	}
	r.extras(extra)
	return m, r.record()
}

func openControl(f Format, key string, rec []byte) (*reader, error) {
	payload, err := openAs(f, []byte(key), rec)
	return &reader{b: payload, field: f.String()}, err
}

// record is finish, for a reader of a record.
func (r *reader) record() error {
	if err := r.finish(); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return nil
}
