// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// What nodes tell of themselves and of the cluster.
type (
	// ClusterInfo is the ring: members with addresses, buckets, preference lists.
	ClusterInfo = wire.ClusterInfoResult
	// Member is a node of the ring.
	Member = wire.Member
	// ClusterStatus is how the members seem to the node that answers.
	ClusterStatus = wire.ClusterStatusResult
	// MemberStatus is one of them.
	MemberStatus = wire.MemberStatus
	// WorkStatus is what stays behind at a member.
	WorkStatus = wire.WorkStatus
	// MemberState is whether a member can be reached.
	MemberState = wire.MemberState
	// NodeInfo is what a node tells in hello: name, cluster, version, features, limits.
	NodeInfo = wire.HelloResult
	// BucketInfo is a bucket with its properties.
	BucketInfo = kv.Bucket
)

// The states of a member; a later release may have others.
const (
	StateUp      = wire.StateUp
	StateDown    = wire.StateDown
	StateStopped = wire.StateStopped
)

// DefaultBucket is the name of the bucket that every cluster has.
const DefaultBucket = kv.DefaultBucketName

// ClusterInfo asks a node for the ring. It fails with ErrNotReady before the cluster is
// formed.
func (c *Client) ClusterInfo(ctx context.Context, opts ...Option) (ClusterInfo, error) {
	q, err := c.plain(ctx, wire.MethodClusterInfo, opts)
	if err != nil {
		return ClusterInfo{}, err
	}
	return ask(ctx, c, q, wire.DecodeClusterInfoResult)
}

// ClusterStatus asks a node how the members seem from there: each has its own opinion.
// [WithEndpoint] chooses whose.
func (c *Client) ClusterStatus(ctx context.Context, opts ...Option) (ClusterStatus, error) {
	q, err := c.plain(ctx, wire.MethodClusterStatus, opts)
	if err != nil {
		return ClusterStatus{}, err
	}
	return ask(ctx, c, q, wire.DecodeClusterStatusResult)
}

// Hello asks the node at endpoint who it is; any node where endpoint is empty.
func (c *Client) Hello(ctx context.Context, endpoint string, opts ...Option) (NodeInfo, error) {
	q, err := c.plain(ctx, wire.MethodHello, at(endpoint, opts))
	if err != nil {
		return NodeInfo{}, err
	}
	q.encode = c.appendHello
	return ask(ctx, c, q, wire.DecodeHelloResult)
}

// Ping asks the node at endpoint whether it answers, once; any node where endpoint is
// empty. Where there is no connection yet it includes connecting.
func (c *Client) Ping(ctx context.Context, endpoint string, opts ...Option) error {
	q, err := c.plain(ctx, wire.MethodPing, at(endpoint, opts))
	if err != nil {
		return err
	}
	q.most = 1
	_, err = ask(ctx, c, q, decodeEmpty)
	return err
}

// Buckets lists the buckets, in order of their names.
func (c *Client) Buckets(ctx context.Context, opts ...Option) ([]BucketInfo, error) {
	q, err := c.plain(ctx, wire.MethodBucketList, opts)
	if err != nil {
		return nil, err
	}
	got, err := ask(ctx, c, q, wire.DecodeBucketListResult)
	return got.Buckets, err
}

// Info asks for the bucket's properties. It fails with ErrNoSuchBucket where there is none
// of the name.
func (b *Bucket) Info(ctx context.Context, opts ...Option) (BucketInfo, error) {
	q, err := b.client.named(ctx, wire.MethodBucketGet, b.name, opts)
	if err != nil {
		return BucketInfo{}, err
	}
	q.bucket = b.name
	return ask(ctx, b.client, q, wire.DecodeBucket)
}

// NodeStop stops a node of a `dyno dev` cluster, by its name; other clusters refuse it
// with ErrUnsupported. It is not sent again after an unknown outcome.
func (c *Client) NodeStop(ctx context.Context, name string, opts ...Option) error {
	return c.control(ctx, wire.MethodNodeStop, name, opts)
}

// NodeStart starts a node that NodeStop stopped.
func (c *Client) NodeStart(ctx context.Context, name string, opts ...Option) error {
	return c.control(ctx, wire.MethodNodeStart, name, opts)
}

func (c *Client) control(ctx context.Context, method, name string, opts []Option) error {
	q, err := c.named(ctx, method, name, opts)
	if err != nil {
		return err
	}
	q.op, q.again, q.feature = wire.OpWrite, false, wire.FeatureDev
	_, err = ask(ctx, c, q, decodeEmpty)
	return err
}

// at puts the endpoint before the options, if it says anything.
func at(endpoint string, opts []Option) []Option {
	if endpoint == "" {
		return opts
	}
	return append([]Option{WithEndpoint(endpoint)}, opts...)
}

// plain is a request without options of its own, that changes nothing.
func (c *Client) plain(ctx context.Context, method string, opts []Option) (*call, error) {
	var o options
	if why := o.fold(opts, optAny); why != "" {
		return nil, invalidError(method, "", nil, why)
	}
	q := &call{
		method: method, op: wire.OpRead, again: true, endpoint: o.endpoint,
		deadline: c.deadline(ctx, &o),
	}
	q.encode = func(dst []byte) []byte {
		return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{
			Common: wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace},
		})
	}
	return q, nil
}

// named is a request about something that has a name.
func (c *Client) named(ctx context.Context, method, name string, opts []Option) (*call, error) {
	var o options
	why := o.fold(opts, optAny)
	if why == "" && (name == "" || len(name) > wire.MaxName) {
		why = "a name has 1 to 255 bytes"
	}
	if why != "" {
		return nil, invalidError(method, "", nil, why)
	}
	q := &call{
		method: method, op: wire.OpRead, again: true, endpoint: o.endpoint,
		deadline: c.deadline(ctx, &o),
	}
	q.encode = func(dst []byte) []byte {
		return wire.AppendNameRequest(dst, &wire.NameRequest{
			Common: wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace}, Name: name,
		})
	}
	return q, nil
}

// ask sends a request and reads its result.
func ask[T any](
	ctx context.Context, c *Client, q *call, decode func(result []byte, into *T) error,
) (T, error) {
	var got T
	raw, _, err := c.do(ctx, q)
	if err != nil {
		return got, err
	}
	if err := decode(raw, &got); err != nil {
		return got, q.badAnswer(err)
	}
	return got, nil
}

func decodeEmpty(result []byte, _ *struct{}) error { return wire.DecodeEmptyResult(result) }
