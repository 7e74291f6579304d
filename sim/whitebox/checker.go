// SPDX-License-Identifier: Apache-2.0

package whitebox

import (
	"fmt"
	"slices"
	"sync"

	"github.com/dyno-kv/dyno/internal/trace"
)

// The rules.
const (
	RuleUniqueDot    = "unique-dot"
	RuleAcknowledged = "acknowledged-by-w"
	RuleGrows        = "grows"
	RuleRemoved      = "removed"
	RuleSameEntry    = "same-entry"
	RuleByMajority   = "entry-by-majority"
	RuleRefill       = "refill"
)

// Violation is a broken rule.
type Violation struct {
	Rule string
	Text string // what happened, for people
}

func (v Violation) String() string { return v.Rule + ": " + v.Text }

// maxViolations is how many are kept: whoever looks needs the first ones.
const maxViolations = 100

// Counts tells how much was judged.
type Counts struct {
	Minted, Durable, Acknowledged int
	// Entries of the metadata group that were committed.
	Entries int
	// Copied are partitions of lost stores that were copied from an owner, Full the stores
	// that were proven full.
	Copied, Full int
	// Violations that were found, also those that were not kept.
	Violations int
}

// Checker judges the events of a run. It is safe for concurrent use.
type Checker struct {
	mu sync.Mutex
	// Guarded by mu.
	dots   map[dot]mint
	keys   map[keyName]*key
	lives  map[uint16]int // of each node; only the newest process is heard
	log    groupLog
	fills  refills
	found  []Violation
	counts Counts
}

var _ trace.Sink = (*Checker)(nil)

// dot is a dot's.
type dot struct{ actor, counter uint64 }

func (d dot) String() string { return fmt.Sprintf("%x:%d", d.actor, d.counter) }

// keyName is a key of a bucket.
type keyName struct {
	bucket uint32
	key    string
}

func (k keyName) String() string { return fmt.Sprintf("key %q of bucket %d", k.key, k.bucket) }

// mint is where a dot comes from.
type mint struct {
	node    uint16
	at      keyName
	request string
}

func (m mint) String() string {
	return fmt.Sprintf("%s by node %d for request %x", m.at, m.node, m.request)
}

// key is what the nodes hold of a key.
type key struct {
	durable map[uint16][]trace.Dots // what each node's durable object covers
	former  map[uint16][]trace.Dots // and what it covered before the disk was wiped
	hints   map[uint16][]trace.Dots // and what its hints do, or did
}

// New returns a checker that has heard nothing.
func New() *Checker {
	return &Checker{
		dots: make(map[dot]mint), keys: make(map[keyName]*key), lives: make(map[uint16]int),
		log: newGroupLog(), fills: newRefills(),
	}
}

// process is the sink of one process.
type process struct {
	checker *Checker
	node    uint16
	life    int
}

// Process returns the sink of a node's next process. Those before it are not heard any
// more (I2).
func (c *Checker) Process(node uint16) trace.Sink {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lives[node]++
	return &process{checker: c, node: node, life: c.lives[node]}
}

// Take implements [trace.Sink].
func (p *process) Take(e trace.Event) {
	c := p.checker
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lives[p.node] == p.life {
		c.take(&e)
	}
}

// Take implements [trace.Sink] for a run in which no node ever starts twice; others give
// each process its own sink.
func (c *Checker) Take(e trace.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(&e)
}

// Wiped says that the disk of a node, of which no process runs, is empty now, or that of
// an earlier time: what the node held may be gone. An answer that it gave before may still
// be on its way, and counts: the promise is that the nodes had it, not that they keep it.
func (c *Checker) Wiped(node uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lives[node]++
	delete(c.fills.fences, node)
	for _, k := range c.keys {
		if had := k.durable[node]; had != nil {
			if !c.fills.filling[node] {
				k.former[node] = slices.Concat(k.former[node], had)
			}
			delete(k.durable, node)
		}
	}
	delete(c.fills.filling, node)
}

// Verdict returns the violations that were found, the first ones of many, in order.
func (c *Checker) Verdict() []Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.found)
}

// Counts returns how much was judged.
func (c *Checker) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// violated notes a broken rule. mu is held, as in all that follows.
func (c *Checker) violated(rule, format string, args ...any) {
	c.counts.Violations++
	if len(c.found) < maxViolations {
		c.found = append(c.found, Violation{Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
}

// keyOf returns what is known of an event's key.
func (c *Checker) keyOf(at keyName) *key {
	k, known := c.keys[at]
	if !known {
		k = &key{
			durable: make(map[uint16][]trace.Dots), former: make(map[uint16][]trace.Dots),
			hints: make(map[uint16][]trace.Dots),
		}
		c.keys[at] = k
	}
	return k
}
