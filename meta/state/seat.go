// SPDX-License-Identifier: Apache-2.0

package state

import "github.com/dyno-kv/dyno/kv"

// RaftFor is the opening of the store for which the member's last raft id was made
// (AssignRaft.For): it alone may begin that raft state with an empty log.
func (m *Member) RaftFor() kv.Open { return m.raftFor }
