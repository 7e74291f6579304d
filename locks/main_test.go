// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"os"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/draws"
)

// Histories are made smaller by rapid with little success: not for long.
func TestMain(m *testing.M) { os.Exit(draws.Run(m, 3000, 5*time.Second)) }
