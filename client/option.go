// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Level says how many replicas a request needs: [Replicas] of a number, or a word. The
// zero value leaves it to the bucket.
type Level = kv.Level

// The levels that are words.
const (
	One    = kv.LevelOne
	Quorum = kv.LevelQuorum
	All    = kv.LevelAll
)

// Replicas is the level that needs exactly n replicas, 0 to 16; 0 only with WithPR and
// WithPW. A number out of range is refused by the request that it is given to.
func Replicas(n int) Level {
	l, err := kv.LevelOf(n)
	if err != nil {
		return badLevel
	}
	return l
}

// badLevel is no level: [Replicas] of a number out of range.
const badLevel Level = 255

// RequestID names one write over all its attempts. The zero value is none.
type RequestID = kv.RequestID

// Option changes one request. Each says which requests have it; others refuse it with
// ErrInvalid, since a request must not run without what its author asked for.
type Option struct {
	kind  optionKind
	level Level
	n     int64
	text  string
	bytes []byte
	id    RequestID
	join  Resolver
}

// optionKind is a bit for each option.
type optionKind uint32

const (
	optR optionKind = 1 << iota
	optPR
	optAtomic
	optMetaOnly
	optW
	optPW
	optContext
	optTTL
	optReturnSiblings
	optRequestID
	optTimeout
	optTrace
	optEndpoint
	optResolver
	optKeysOnly
	optLimit
	optCursor
	optSessionName
	optLockValue
	optStale
)

// What the requests have.
const (
	optAny    = optTimeout | optTrace | optEndpoint
	optRead   = optAny | optR | optPR | optAtomic
	optWrite  = optAny | optW | optPW
	optGet    = optRead | optMetaOnly
	optDelete = optWrite | optContext | optRequestID
	optPut    = optDelete | optTTL | optReturnSiblings
	optUpdate = optRead | optWrite | optTTL | optResolver
	optScan   = optAny | optKeysOnly | optLimit | optCursor
	optOpen   = optAny | optTTL | optSessionName
	optLock   = optAny | optLockValue
	optList   = optAny | optLimit | optStale
)

// WithR is how many replicas must answer a read. Get, GetMany, Update.
func WithR(l Level) Option { return Option{kind: optR, level: l} }

// WithPR is how many owners must be among those that answer a read. Get, GetMany, Update.
func WithPR(l Level) Option { return Option{kind: optPR, level: l} }

// WithAtomic asks for a read that never goes back behind an earlier atomic one. It needs
// 2r > n. Get, GetMany, Update.
func WithAtomic() Option { return Option{kind: optAtomic} }

// MetaOnly leaves the values out of the answer. Get, GetMany.
func MetaOnly() Option { return Option{kind: optMetaOnly} }

// WithW is how many replicas must have stored a write. Put, Delete, Update.
func WithW(l Level) Option { return Option{kind: optW, level: l} }

// WithPW is how many owners must be among those that stored a write. Put, Delete, Update.
func WithPW(l Level) Option { return Option{kind: optPW, level: l} }

// WithContext says what the writer has read: exactly that is overwritten. Without it a
// put overwrites nothing, and a delete what it finds. Put, Delete.
func WithContext(c Context) Option { return Option{kind: optContext, bytes: c} }

// WithTTL is how long the value lives, rounded up to milliseconds; at least 1 ms, at
// most 100 years. Put, Update, CreateBucket. For a session it is how long it
// lives without being renewed; 5 s to 24 h. NewSession, WithLock.
func WithTTL(d time.Duration) Option { return Option{kind: optTTL, n: int64(d)} }

// ReturnSiblings asks a put for all values that the key has after it. Put.
func ReturnSiblings() Option { return Option{kind: optReturnSiblings} }

// WithRequestID names the write, so that doing it again, after an unknown outcome, does
// not make a second one. Without it each Put and Delete draws its own. Put, Delete.
func WithRequestID(id RequestID) Option { return Option{kind: optRequestID, id: id} }

// WithTimeout is in the place of Config.Timeout. Every request.
func WithTimeout(d time.Duration) Option { return Option{kind: optTimeout, n: int64(d)} }

// WithTrace is echoed in the nodes' logs; at most 128 bytes. Every request.
func WithTrace(s string) Option { return Option{kind: optTrace, text: s} }

// WithEndpoint sends the request to this node only, by its client address. Every request.
func WithEndpoint(addr string) Option { return Option{kind: optEndpoint, text: addr} }

// WithResolver joins siblings before and after the update. Update.
func WithResolver(r Resolver) Option { return Option{kind: optResolver, join: r} }

// KeysOnly leaves all but the keys out of the answer. Scan.
func KeysOnly() Option { return Option{kind: optKeysOnly} }

// WithLimit is how many entries a page may have, 1 to 1,024. Scan.
func WithLimit(n int) Option { return Option{kind: optLimit, n: int64(n)} }

// WithCursor goes on where [Scan.Cursor] of an earlier scan of the same prefix was. Scan.
func WithCursor(c []byte) Option { return Option{kind: optCursor, bytes: c} }

// WithSessionName names a session, for people who look at locks; at most 255 bytes.
// NewSession, WithLock.
func WithSessionName(s string) Option { return Option{kind: optSessionName, text: s} }

// WithLockValue is shown to those who look at the lock while it is held; at most 4 KiB.
// Lock, TryLock, RLock, TryRLock, WithLock.
func WithLockValue(v []byte) Option { return Option{kind: optLockValue, bytes: v} }

// WithStale takes what the answering node knows, which may lag behind, also where the
// group has no leader. Locks, Lock, Sessions.
func WithStale() Option { return Option{kind: optStale} }

// options is what a request's options add up to. Of two of a kind the last one holds.
type options struct {
	read     wire.ReadOptions
	write    wire.WriteOptions
	ttlMS    int64
	siblings bool
	timeout  time.Duration
	trace    string
	endpoint string
	join     Resolver
	keysOnly bool
	limit    uint32
	cursor   []byte
	name     string // of the session
	value    []byte // of the lock
	stale    bool
}

// fold adds options up. It refuses those that are not among allowed, and values that
// this side can tell are wrong; why is empty where all is well.
func (o *options) fold(list []Option, allowed optionKind) (why string) {
	for i := range list {
		p := &list[i]
		if p.kind&allowed == 0 {
			return "option " + p.kind.name() + " has no meaning for this request"
		}
		if why := o.take(p); why != "" {
			return why
		}
	}
	return ""
}

func (o *options) take(p *Option) (why string) {
	switch p.kind {
	case optR:
		o.read.R = p.level
		return levelFault(p.level, "WithR", true)
	case optPR:
		o.read.PR = p.level
		return levelFault(p.level, "WithPR", false)
	case optAtomic:
		o.read.Atomic = true
	case optMetaOnly:
		o.read.MetaOnly = true
	case optW:
		o.write.W = p.level
		return levelFault(p.level, "WithW", true)
	case optPW:
		o.write.PW = p.level
		return levelFault(p.level, "WithPW", false)
	case optContext:
		o.write.Context = p.bytes
	case optTTL:
		o.ttlMS = (p.n + int64(time.Millisecond) - 1) / int64(time.Millisecond)
		if p.n <= 0 || o.ttlMS > wire.MaxTTLMS {
			return "WithTTL must be at least 1 ms and at most 100 years"
		}
	case optReturnSiblings:
		o.siblings = true
	case optRequestID:
		o.write.RequestID = p.id
	default:
		return o.takeOther(p)
	}
	return ""
}

func (o *options) takeOther(p *Option) (why string) {
	switch p.kind {
	case optTimeout:
		o.timeout = time.Duration(p.n)
		if o.timeout <= 0 || o.timeout > maxTimeout {
			return "WithTimeout must be above 0 and at most " + maxTimeout.String()
		}
	case optTrace:
		o.trace = p.text
		if len(p.text) > wire.MaxTrace {
			return "WithTrace is longer than 128 bytes"
		}
	case optEndpoint:
		o.endpoint = p.text
		if _, _, err := net.SplitHostPort(p.text); err != nil {
			return "WithEndpoint must be HOST:PORT"
		}
	case optResolver:
		o.join = p.join
	case optKeysOnly:
		o.keysOnly = true
	case optLimit:
		if p.n < 1 || p.n > wire.MaxList {
			return "WithLimit must be 1 to 1024"
		}
		o.limit = uint32(p.n)
	case optCursor:
		o.cursor = p.bytes
	case optSessionName:
		o.name = p.text
		if len(p.text) > wire.MaxLockName {
			return "WithSessionName is longer than 255 bytes"
		}
	case optLockValue:
		o.value = p.bytes
		if len(p.bytes) > wire.MaxLockValue {
			return "WithLockValue is longer than 4 KiB"
		}
	case optStale:
		o.stale = true
	}
	return ""
}

func levelFault(l Level, name string, notZero bool) (why string) {
	switch {
	case l == badLevel:
		return name + ": a number of replicas is 0 to 16"
	case notZero && l == kv.LevelZero:
		return name + ": at least 1 replica is needed"
	default:
		return ""
	}
}

// optionNames are for messages.
var optionNames = map[optionKind]string{
	optR: "WithR", optPR: "WithPR", optAtomic: "WithAtomic", optMetaOnly: "MetaOnly",
	optW: "WithW", optPW: "WithPW", optContext: "WithContext", optTTL: "WithTTL",
	optReturnSiblings: "ReturnSiblings", optRequestID: "WithRequestID",
	optTimeout: "WithTimeout", optTrace: "WithTrace", optEndpoint: "WithEndpoint",
	optResolver: "WithResolver", optKeysOnly: "KeysOnly", optLimit: "WithLimit",
	optCursor: "WithCursor", optSessionName: "WithSessionName", optLockValue: "WithLockValue",
	optStale: "WithStale",
}

func (k optionKind) name() string {
	if name := optionNames[k]; name != "" {
		return name
	}
	return "of no kind"
}
