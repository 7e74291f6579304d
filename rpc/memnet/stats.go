// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"hash/fnv"
	"time"
)

// Stats counts what the network did, so that a test can tell whether its faults bit.
type Stats struct {
	// Delivered counts the messages that reached a reader: packets and segments.
	// DeliveredBytes counts what was in them.
	Delivered, DeliveredBytes uint64

	// Segments were written to streams; Stalls of them, and of dials, were lost first.
	Segments, Stalls uint64
	// Slowed messages met the chance of Slow, Throttled ones a Rate.
	Slowed, Throttled uint64
	// CutBytes of streams were held by a cut, PausedBytes were written from or to a
	// host that was paused.
	CutBytes, PausedBytes uint64
	// Resets counts connections that were reset before they had ended, for whatever
	// reason; ResetsDrawn those that met the chance of Reset, ResetsForced those that
	// Kill and Network.Reset found.
	Resets, ResetsDrawn, ResetsForced uint64

	// Packets were sent. Lost, Cut, Refused (nobody listens) and Overrun (the queue
	// was full) never came; Twice came twice; Reordered ones were read after a later
	// one; Paused ones were sent from or to a host that was paused.
	Packets, PacketsLost, PacketsCut, PacketsRefused, PacketsOverrun uint64
	PacketsTwice, PacketsReordered, PacketsPaused                    uint64

	// Dials began, of which DialsHeld had to wait for a cut or a pause.
	Dials, DialsHeld uint64
	// Pauses of hosts.
	Pauses uint64
}

// Stats returns the counts so far.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// Kind says what was delivered.
type Kind uint8

const (
	// KindPacket is a packet that was read.
	KindPacket Kind = iota + 1
	// KindConnect is a connection that was accepted.
	KindConnect
	// KindBytes is a segment of a stream of which the first byte was read.
	KindBytes
	// KindEnd is the end of a stream that its reader has seen.
	KindEnd
	// KindReset is the reset of a stream that its reader has seen.
	KindReset
)

func (k Kind) String() string {
	names := [...]string{"?", "packet", "connect", "bytes", "end", "reset"}
	if int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// Delivery is one message at the moment at which it reached its reader.
type Delivery struct {
	Time     time.Time
	From, To string // addresses
	Kind     Kind
	Size     int
	// Hash is FNV-1a over the bytes: the same in every process.
	Hash uint64
}

// Observe has hear called with every delivery from now on, one after the other; nil
// ends it. hear is called under the network's mutex: it must not use the network,
// and must not wait.
func (n *Network) Observe(hear func(Delivery)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hear = hear
}

// deliver counts a message and tells the observer.
func (n *Network) deliver(kind Kind, from, to string, b []byte) {
	if kind == KindPacket || kind == KindBytes {
		n.stats.Delivered++
		n.stats.DeliveredBytes += uint64(len(b))
	}
	if n.hear == nil {
		return
	}
	h := fnv.New64a()
	h.Write(b)
	n.hear(Delivery{time.Now(), from, to, kind, len(b), h.Sum64()})
}
