// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/dyno-kv/dyno/wire"
)

// What nodes tell of the metadata group.
type (
	// MetaStatus is the group as one node sees it.
	MetaStatus = wire.MetaStatusResult
	// MetaMembers are the members, as the group has them.
	MetaMembers = wire.MetaMembersResult
	// GroupMember is one of them.
	GroupMember = wire.GroupMember
	// Seat is what a member is in the group.
	Seat = wire.Seat
)

// The seats; a later release may have others.
const (
	SeatVoter   = wire.SeatVoter
	SeatLearner = wire.SeatLearner
	SeatClient  = wire.SeatClient
)

// MetaStatus asks a node how the metadata group seems from there, also where it has no
// leader. [WithEndpoint] chooses which.
func (c *Client) MetaStatus(ctx context.Context, opts ...Option) (MetaStatus, error) {
	q, err := c.plain(ctx, wire.MethodMetaStatus, opts)
	if err != nil {
		return MetaStatus{}, err
	}
	return ask(ctx, c, q, wire.DecodeMetaStatusResult)
}

// MetaMembers asks a node for the members that the metadata group knows, as far as that
// node has heard: those that have registered before there is a ring, too.
func (c *Client) MetaMembers(ctx context.Context, opts ...Option) (MetaMembers, error) {
	q, err := c.plain(ctx, wire.MethodMetaMembers, opts)
	if err != nil {
		return MetaMembers{}, err
	}
	return ask(ctx, c, q, wire.DecodeMetaMembersResult)
}
