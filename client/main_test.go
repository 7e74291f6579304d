// SPDX-License-Identifier: Apache-2.0

package client

import (
	"testing"

	"go.uber.org/goleak"
)

// Whole clusters run in the external tests, and memberlist does not wait for its own
// timers when it shuts down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).gossip"),
	)
}
