// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// A file that keeps a state outside of the group. Numbers are big-endian.
//
//	 0  magic        8  "dynometa"
//	 8  version      4  1
//	12  generation   4
//	16  cluster     16
//	32  index        8
//	40  term         8
//	48  length       8  of the snapshot
//	56  checksum     8  of the snapshot, xxhash64 with the seed 0
//	64  snapshot        as State.Snapshot has it
const (
	savedMagic   = "dynometa"
	savedVersion = 1
	savedHeader  = 64
)

// Saved is a state that is kept in a file.
type Saved struct {
	State    *State
	Size     uint64 // of its snapshot, in bytes
	Checksum uint64 // of its snapshot
}

// Seal makes the header of a file that keeps a snapshot, which follows it there. What can
// not be restored is not sealed: the error wraps ErrUnknown or ErrDamaged.
func Seal(snapshot []byte) (header []byte, s Saved, err error) {
	s = Saved{Size: uint64(len(snapshot)), Checksum: xxhash.Sum64(snapshot)}
	if s.State, err = Restore(snapshot); err != nil {
		return nil, Saved{}, err
	}
	b := append(make([]byte, 0, savedHeader), savedMagic...)
	b = binary.BigEndian.AppendUint32(b, savedVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(s.State.generation))
	b = append(b, s.State.cluster[:]...)
	for _, n := range [...]uint64{s.State.index, s.State.term, s.Size, s.Checksum} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b, s, nil
}

// Unseal reads a file that Seal began. Not a bit of it may have changed: the error wraps
// ErrDamaged, or ErrUnknown where a newer release has written it.
func Unseal(file []byte) (Saved, error) {
	if len(file) < savedHeader || string(file[:len(savedMagic)]) != savedMagic {
		return Saved{}, fmt.Errorf("%w: it is no saved state of a metadata group", ErrDamaged)
	}
	if v := binary.BigEndian.Uint32(file[8:]); v > savedVersion {
		return Saved{}, fmt.Errorf("%w: a file of version %d", ErrUnknown, v)
	}
	snapshot := file[savedHeader:]
	if length := binary.BigEndian.Uint64(file[48:]); length != uint64(len(snapshot)) {
		return Saved{}, fmt.Errorf("%w: %d bytes of state, there should be %d", ErrDamaged,
			len(snapshot), length)
	}
	told, sum := binary.BigEndian.Uint64(file[56:]), xxhash.Sum64(snapshot)
	if told != sum {
		return Saved{}, fmt.Errorf("%w: the checksum is %016x, it should be %016x", ErrDamaged,
			sum, told)
	}
	header, s, err := Seal(snapshot)
	if err != nil {
		return Saved{}, err
	}
	// The checksum is of the snapshot alone; the rest of the header says what stands there
	// as well, to those who can not read it.
	if !bytes.Equal(header, file[:savedHeader]) {
		return Saved{}, fmt.Errorf("%w: the header tells of cluster %s, generation %d, index %d, "+
			"term %d, the state is another", ErrDamaged, ring.ClusterID(file[16:32]),
			kv.Generation(binary.BigEndian.Uint32(file[12:])),
			binary.BigEndian.Uint64(file[32:]), binary.BigEndian.Uint64(file[40:]))
	}
	return s, nil
}
