// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// handleHello answers hello.
func (s *Server) handleHello(_ context.Context, req *request) (encoder, error) {
	var q wire.HelloRequest
	if err := wire.DecodeHelloRequest(req.params, &q); err != nil {
		return nil, err
	}
	req.trace = q.Trace
	if !slices.Contains(q.Proto, wire.ProtoVersion) {
		const shown = 8
		return nil, &coordinator.Error{
			Code: wire.CodeUnsupportedVersion, Text: fmt.Sprintf("this node speaks proto %d, "+
				"the client %d", wire.ProtoVersion, q.Proto[:min(len(q.Proto), shown)]),
		}
	}
	result := wire.HelloResult{
		Proto: wire.ProtoVersion, Version: s.cfg.Version, Features: s.cfg.Features,
		Limits: wire.DefaultLimits(),
	}
	limits := s.cfg.Client.Limits
	result.Limits.Message, result.Limits.Depth = uint32(limits.Message), uint32(limits.Depth)
	result.Limits.InFlight = uint32(limits.InFlight)
	result.Features = slices.Clone(result.Features)
	if s.parts.Grouped {
		result.Features = append(result.Features, wire.FeatureLocks, wire.FeatureBuckets)
	}
	if s.parts.Repairing {
		result.Features = append(result.Features, wire.FeatureRepair)
	}
	if s.parts.Hinting {
		result.Features = append(result.Features, wire.FeatureHints)
	}
	if s.parts.Control != nil {
		result.Features = append(result.Features, wire.FeatureDev)
	}
	status := s.parts.Cluster.Status()
	result.Node, result.Cluster, result.RingVersion = status.Node, status.Cluster, status.RingVersion
	return func(dst []byte) []byte { return wire.AppendHelloResult(dst, &result) }, nil
}

// handlePing answers ping.
func (s *Server) handlePing(_ context.Context, req *request) (encoder, error) {
	return wire.AppendEmptyResult, decodeEmpty(req)
}

// decodeEmpty reads the params of a request without options of its own.
func decodeEmpty(req *request) error {
	var q wire.EmptyRequest
	err := wire.DecodeEmptyRequest(req.params, &q)
	req.trace = q.Trace
	return err
}

// handleClusterInfo answers cluster.info.
func (s *Server) handleClusterInfo(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	current := s.parts.Cluster.Ring()
	if current == nil {
		return nil, &coordinator.Error{
			Code: wire.CodeNotReady, Text: "the cluster has not been formed yet",
		}
	}
	result := infoOf(current, s.parts.Cluster.Buckets())
	return func(dst []byte) []byte { return wire.AppendClusterInfoResult(dst, &result) }, nil
}

// infoOf is all that a client needs to route by itself.
func infoOf(r *ring.Ring, buckets []kv.Bucket) wire.ClusterInfoResult {
	info := wire.ClusterInfoResult{
		Cluster: r.Cluster().String(), RingVersion: r.Version(), Replicas: uint32(r.Replicas()),
		Partitions: uint32(r.Partitions()), HashSeed: r.HashSeed(), Buckets: buckets,
	}
	for _, m := range r.Members() {
		info.Members = append(info.Members, MemberOf(m))
	}
	for p := range r.Partitions() {
		preference := r.Preference(uint16(p))
		nodes := make([]kv.NodeID, 0, len(preference.Slots)+len(preference.Fallbacks))
		for _, slot := range preference.Slots {
			nodes = append(nodes, slot.Reader())
		}
		info.Preference = append(info.Preference, append(nodes, preference.Fallbacks...))
	}
	return info
}

// MemberOf shows a member of the ring as clients see it.
func MemberOf(m ring.Member) wire.Member {
	return wire.Member{ID: m.ID, Name: m.Name, Zone: m.Zone, Addresses: wire.Addresses{
		Client: m.Client, Peer: m.Peer, Gossip: m.Gossip, Admin: m.Admin,
	}}
}

// handleClusterStatus answers cluster.status.
func (s *Server) handleClusterStatus(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	result := s.parts.Cluster.Status()
	for i := range result.Members {
		if m := &result.Members[i]; m.Name == result.Node {
			m.Work = s.parts.Cluster.Work()
		}
	}
	return func(dst []byte) []byte { return wire.AppendClusterStatusResult(dst, &result) }, nil
}

// handleBucketGet answers bucket.get.
func (s *Server) handleBucketGet(ctx context.Context, req *request) (encoder, error) {
	var q wire.NameRequest
	if err := wire.DecodeNameRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	bucket, err := s.bucket(ctx, q.Name)
	if err != nil {
		return nil, err
	}
	return func(dst []byte) []byte { return wire.AppendBucket(dst, &bucket) }, nil
}

// handleBucketList answers bucket.list.
func (s *Server) handleBucketList(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	result := wire.BucketListResult{Buckets: s.parts.Cluster.Buckets()}
	return func(dst []byte) []byte { return wire.AppendBucketListResult(dst, &result) }, nil
}

// handleNodeStop answers dev.node_stop.
func (s *Server) handleNodeStop(ctx context.Context, req *request) (encoder, error) {
	return s.control(ctx, req, Control.StopNode)
}

// handleNodeStart answers dev.node_start.
func (s *Server) handleNodeStart(ctx context.Context, req *request) (encoder, error) {
	return s.control(ctx, req, Control.StartNode)
}

func (s *Server) control(
	ctx context.Context, req *request, do func(Control, context.Context, string) error,
) (encoder, error) {
	var q wire.NameRequest
	if err := wire.DecodeNameRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	err = do(s.parts.Control, ctx, q.Name)
	switch {
	case err == nil:
		return wire.AppendEmptyResult, nil
	case errors.Is(err, ErrRefused):
		return nil, &coordinator.Error{Code: wire.CodeInvalid, Text: err.Error(), Err: err}
	case ctx.Err() != nil:
		return nil, &coordinator.Error{Code: wire.CodeTimeout, Text: err.Error(), Err: err}
	default: // such as a port that is taken: the node is as it was
		return nil, &coordinator.Error{Code: wire.CodeUnavailable, Text: err.Error(), Err: err}
	}
}
