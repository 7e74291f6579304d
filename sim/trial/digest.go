// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"sync"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// digest hashes every message in the order in which it was delivered, with the moment.
type digest struct {
	mu     sync.Mutex
	hash   hash.Hash // guarded by mu
	buf    []byte    // guarded by mu
	faults []error   // guarded by mu; of sessions that could not go on
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

// deliver takes one message; it is called under the network's mutex.
func (d *digest) deliver(m memnet.Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := binary.BigEndian.AppendUint64(d.buf[:0], uint64(m.Time.UnixNano()))
	b = append(append(append(b, m.From...), '>'), m.To...)
	b = append(b, byte(m.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Size))
	b = binary.BigEndian.AppendUint64(b, m.Hash)
	d.buf = b
	_, _ = d.hash.Write(b) // never fails
}

// fault keeps why a session could not go on.
func (d *digest) fault(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const most = 8
	if len(d.faults) < most {
		d.faults = append(d.faults, err)
	}
}

func (d *digest) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.faults...)
}

// sum is the hash of all messages, and of what clients saw.
func (d *digest) sum(h *history.History) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := history.WriteAll(d.hash, h); err != nil {
		return "", err
	}
	return hex.EncodeToString(d.hash.Sum(nil)), nil
}
