// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"os"
	"testing"

	"github.com/dyno-kv/dyno/internal/draws"
)

func TestMain(m *testing.M) { os.Exit(draws.Run(m, 1000, 0)) }
