// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// BucketSpec says what a bucket that is to be made is like. The zero value of all but Name
// is what the bucket "default" has.
type BucketSpec struct {
	Name string
	// N is how many replicas a key has; 0: as many as the cluster has. Nothing else is
	// supported yet.
	N int
	// R, W, PR and PW are for requests that say nothing themselves.
	R, W, PR, PW Level
	// Strict lets no fallback stand in for an owner.
	Strict bool
	// LWW resolves siblings by the time of their writing, instead of keeping them.
	LWW bool
	// TTL is how long new values live, rounded up to milliseconds; 0: they stay.
	TTL time.Duration
}

// BucketChange says what about a bucket is to be changed. What is zero, or nil, stays.
type BucketChange struct {
	R, W, PR, PW Level
	Sloppy       *bool
	TTL          *time.Duration // of new values, rounded up to milliseconds; 0: they stay
}

// CreateBucket makes a bucket. A request id that is drawn for it, or that [WithRequestID]
// gives, lets it be asked again: it fails with ErrExists only where somebody else made one
// of that name. Each node learns of the bucket by itself, soon.
func (c *Client) CreateBucket(
	ctx context.Context, spec BucketSpec, opts ...Option,
) (BucketInfo, error) {
	var o options
	why := o.fold(opts, optAny|optRequestID)
	if why == "" {
		why = spec.fault()
	}
	ttl, fault := bucketTTL(spec.TTL)
	if why == "" {
		why = fault
	}
	if why != "" {
		return BucketInfo{}, invalidName(wire.MethodBucketCreate, spec.Name, why)
	}
	if o.write.RequestID.IsZero() {
		o.write.RequestID = c.NewRequestID()
	}
	q := c.groupCall(ctx, wire.MethodBucketCreate, wire.OpWrite, spec.Name, &o)
	q.encode = func(dst []byte) []byte {
		return wire.AppendBucketCreateRequest(dst, &wire.BucketCreateRequest{
			Common: o.common(q), RequestID: o.write.RequestID, Name: spec.Name,
			N: uint8(spec.N), R: spec.R, W: spec.W, PR: spec.PR, PW: spec.PW,
			Strict: spec.Strict, LWW: spec.LWW, TTLMS: ttl,
		})
	}
	return ask(ctx, c, q, wire.DecodeBucket)
}

func (b *BucketSpec) fault() (why string) {
	if why := bucketFault(b.Name, b.R, b.W, b.PR, b.PW); why != "" {
		return why
	}
	if b.N < 0 || b.N > 16 {
		return "N must be 0 to 16"
	}
	return ""
}

// UpdateBucket changes what can be changed about a bucket, and returns it as it is then.
func (c *Client) UpdateBucket(
	ctx context.Context, name string, change BucketChange, opts ...Option,
) (BucketInfo, error) {
	var o options
	why := o.fold(opts, optAny)
	if why == "" {
		why = bucketFault(name, change.R, change.W, change.PR, change.PW)
	}
	var ttl *int64
	if change.TTL != nil && why == "" {
		var ms int64
		ms, why = bucketTTL(*change.TTL)
		ttl = &ms
	}
	if why != "" {
		return BucketInfo{}, invalidName(wire.MethodBucketUpdate, name, why)
	}
	q := c.groupCall(ctx, wire.MethodBucketUpdate, wire.OpWrite, name, &o)
	q.encode = func(dst []byte) []byte {
		return wire.AppendBucketUpdateRequest(dst, &wire.BucketUpdateRequest{
			Common: o.common(q), Name: name, R: change.R, W: change.W, PR: change.PR,
			PW: change.PW, Sloppy: change.Sloppy, TTLMS: ttl,
		})
	}
	return ask(ctx, c, q, wire.DecodeBucket)
}

// DeleteBucket deletes a bucket with all its keys, for good. Its name may be given to
// another one, which begins empty.
func (c *Client) DeleteBucket(ctx context.Context, name string, opts ...Option) error {
	var o options
	why := o.fold(opts, optAny)
	if why == "" {
		why = bucketFault(name, 0, 0, 0, 0)
	}
	if why != "" {
		return invalidName(wire.MethodBucketDelete, name, why)
	}
	q := c.groupCall(ctx, wire.MethodBucketDelete, wire.OpWrite, name, &o)
	q.encode = func(dst []byte) []byte {
		return wire.AppendNameRequest(dst, &wire.NameRequest{Common: o.common(q), Name: name})
	}
	_, err := ask(ctx, c, q, decodeEmpty)
	if codeOf(err) == wire.CodeNoSuchBucket && q.unknown {
		return nil // an attempt before has deleted it
	}
	return err
}

func bucketFault(name string, r, w, pr, pw Level) (why string) {
	if name == "" || len(name) > wire.MaxBucketName {
		return "the name of a bucket has 1 to 255 bytes"
	}
	for _, l := range []struct {
		level   Level
		name    string
		notZero bool
	}{{r, "R", true}, {w, "W", true}, {pr, "PR", false}, {pw, "PW", false}} {
		if why := levelFault(l.level, l.name, l.notZero); why != "" {
			return why
		}
	}
	return ""
}

// bucketTTL is a time to live as the protocol has it.
func bucketTTL(d time.Duration) (ms int64, why string) {
	ms = (int64(d) + int64(time.Millisecond) - 1) / int64(time.Millisecond)
	if d < 0 || ms > wire.MaxTTLMS {
		return 0, "TTL must be 0 to 100 years"
	}
	return ms, ""
}
