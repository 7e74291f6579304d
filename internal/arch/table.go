// SPDX-License-Identifier: Apache-2.0

package arch

import "strings"

// Module is the import path of the tree's root.
const Module = "github.com/dyno-kv/dyno"

// side marks a room that stands beside the rows: its imports are listed one by one.
const side = -1

// Room is one line of the table in ARCHITECTURE.md.
type Room struct {
	// Path is the folder, from the root of the tree.
	Path string
	// Row orders the rooms; a room imports lower rows only. A side room has none.
	Row int
	// Core says that the room decides and never acts.
	Core bool
	// Open says that folders below the room belong to it without a line of their own.
	Open bool
	// Tool says that the room belongs to the workshop: nobody imports it.
	Tool bool
	// Imports lists what the room may import beside lower rows; for a side room it is
	// all that it may import. An entry that ends in "/..." stands for the folders below.
	Imports []string
	// TestImports lists what the room's external tests may import as well.
	TestImports []string
	// Libraries lists those of testOnly that the room may import in an ordinary binary.
	Libraries []string
}

// Rooms is the table of ARCHITECTURE.md, section 2, in its order.
func Rooms() []Room {
	rows := []Room{
		{Path: "vclock", Row: 0, Core: true},
		{Path: "internal/invariant", Row: 0, Core: true},
		{Path: "internal/mutant", Row: 0, Core: true},
		{Path: "internal/fail", Row: 0},
		{Path: "internal/trace", Row: 0},
		{Path: "internal/budget", Row: 0},
		{Path: "internal/tally", Row: 0},
		{Path: "internal/draws", Row: 0, Libraries: []string{"testing"}},
		{Path: "kv", Row: 1, Core: true},
		{Path: "ring", Row: 2, Core: true},
		{Path: "antientropy", Row: 2, Core: true},
		{Path: "locks", Row: 2, Core: true},
		{Path: "quorum", Row: 3, Core: true},
		{Path: "wire", Row: 3, Core: true},
		{Path: "meta/state", Row: 3, Core: true},
		{Path: "storage", Row: 4, TestImports: []string{"storage/enginetest"}},
		{Path: "meta/seats", Row: 4, Core: true},
		{Path: "storage/versions", Row: 4, Core: true},
		{Path: "rpc", Row: 4},
		{Path: "rpc/memnet", Row: 4},
		{Path: "gossip", Row: 5},
		{Path: "replica", Row: 5},
		{Path: "meta", Row: 5},
		{Path: "handoff", Row: 6},
		{Path: "antientropy/exchange", Row: 6},
		{Path: "transfer", Row: 6},
		{Path: "coordinator", Row: 6},
		{Path: "server", Row: 7, TestImports: []string{"node", "node/dev"}},
		{Path: "server/admin", Row: 7},
		{Path: "server/metrics", Row: 7, Imports: []string{"server"}},
		{Path: "node", Row: 8},
		{Path: "node/dev", Row: 8},
		{Path: "cmd/dyno", Row: 9, Open: true, Imports: []string{"client", "bench/..."}},
	}
	return append(rows, sideRooms()...)
}

// sideRooms are the rooms beside the rows, and the workshop.
func sideRooms() []Room {
	blackBox := []string{"client", "kv", "vclock", "jepsen/history"}
	pure := []string{"kv", "vclock", "jepsen/history"}
	return []Room{
		{
			Path: "client", Row: side, TestImports: []string{"node", "node/dev"},
			Imports: []string{"kv", "vclock", "ring", "locks", "wire", "rpc"},
		},
		{Path: "storage/enginetest", Row: side, Imports: []string{"storage"}},
		{Path: "jepsen", Row: side, Imports: append(blackBox, "jepsen/...")},
		{
			Path: "jepsen/disk", Row: side, Imports: []string{"jepsen/disk/image"},
			TestImports: []string{"storage", "kv", "vclock"},
		},
		{Path: "jepsen/disk/image", Row: side},
		{Path: "jepsen/history", Row: side, Imports: []string{"kv", "vclock"}},
		{
			Path: "jepsen/workload", Row: side, Imports: pure, TestImports: []string{"jepsen/checker"},
		},
		{Path: "jepsen/checker", Row: side, Imports: pure},
		{Path: "jepsen/clients", Row: side, Imports: append(blackBox, "jepsen/workload")},
		{Path: "jepsen/clock", Row: side, Imports: []string{"sim/overlay"}},
		{Path: "jepsen/nemesis", Row: side, Imports: []string{"jepsen/planfile"}},
		{Path: "jepsen/network", Row: side, Imports: []string{"jepsen/network/link"}},
		{Path: "jepsen/network/link", Row: side},
		{Path: "jepsen/planfile", Row: side},
		{Path: "jepsen/sandbox", Row: side},
		{Path: "jepsen/real", Row: side, Imports: append(blackBox, "jepsen/...")},
		{Path: "jepsen/rig", Row: side, Imports: append(blackBox, "jepsen/...")},
		{Path: "jepsen/report", Row: side, Imports: append(pure, "jepsen/checker")},
		{
			// ring, replica and wire are words of node.Group, in whose place sim stands.
			Path: "sim", Row: side, TestImports: []string{"storage/enginetest"},
			Imports: []string{
				"node", "client", "gossip", "storage", "storage/versions", "rpc/memnet", "kv", "vclock",
				"ring", "replica", "wire", "meta", "meta/state", "locks",
				"jepsen/history", "jepsen/workload", "jepsen/checker",
				"jepsen/clients", "sim/overlay", "sim/whitebox", "internal/trace", "internal/fail",
			},
		},
		{Path: "sim/overlay", Row: side, Open: true},
		{Path: "sim/plan", Row: side, Imports: []string{"jepsen/planfile"}},
		{Path: "sim/whitebox", Row: side, Imports: []string{"internal/trace"}},
		{
			// A bubble needs a *testing.T, also in the processes that run one plan each.
			Path: "sim/trial", Row: side, Libraries: []string{"testing", "testing/synctest"},
			Imports: []string{
				"sim", "sim/plan", "sim/whitebox", "sim/overlay", "internal/trace",
				"internal/fail", "internal/mutant", "jepsen/history", "jepsen/workload",
				"jepsen/checker", "jepsen/clients", "node", "client", "storage", "kv", "rpc/memnet",
				"meta", "meta/state", "antientropy",
			},
		},
		{
			Path: "sim/fleet", Row: side,
			Imports: []string{
				"sim/plan", "sim/trial", "sim/overlay", "internal/mutant",
				"jepsen/history", "jepsen/checker",
			},
		},
		{
			Path: "cmd/dyno-jepsen", Row: side, Open: true,
			Imports: []string{"sim/...", "jepsen", "jepsen/...", "internal/mutant"},
		},
		{Path: "bench", Row: side, Open: true, Imports: []string{"..."}},
		{Path: "bench/floor", Row: side},
		{Path: "internal/arch", Row: side, Tool: true},
		{Path: "internal/mutants", Row: side, Tool: true},
	}
}

// testRooms may be imported by every test: the simulated network, and what stands
// under internal/.
func testRooms(path string) bool {
	return path == "rpc/memnet" || strings.HasPrefix(path, "internal/")
}

// confined lists libraries that only some rooms may import (tests are free to).
// The key is a prefix of import paths.
func confined() map[string][]string {
	return map[string][]string{
		"github.com/dgraph-io/":          {"storage", "bench/floor"},
		"github.com/hashicorp/":          {"gossip"},
		"github.com/vmihailenco/msgpack": {"wire", "rpc"},
		"github.com/spf13/":              {"cmd/dyno", "cmd/dyno-jepsen"},
		"github.com/knadh/":              {"cmd/dyno"},
		"github.com/jedib0t/":            {"cmd/dyno", "cmd/dyno-jepsen", "bench"},
		"github.com/schollz/":            {"cmd/dyno", "cmd/dyno-jepsen", "bench"},
		"github.com/HdrHistogram/":       {"cmd/dyno", "bench"},
		"github.com/prometheus/":         {"server/metrics"},
		"github.com/anishathalye/":       {"jepsen/checker"},
		"github.com/vishvananda/":        {"jepsen/network"},
		"github.com/hanwen/":             {"jepsen/disk"},
		"log":                            {"gossip", "jepsen/disk"},
		"log/slog":                       nil,
		"expvar":                         nil,
		"math/rand":                      nil,
		"unsafe":                         nil,
	}
}

// testOnly lists libraries that only tests, and packages named ...test, may import.
func testOnly() []string {
	return []string{
		"testing", "github.com/google/go-cmp", "go.uber.org/goleak", "pgregory.net/rapid",
		"github.com/cockroachdb/datadriven", "github.com/rogpeppe/go-internal",
		"go.uber.org/zap/zaptest", "github.com/ugorji/go", "github.com/chromedp",
	}
}

// coreForbidden lists what a core may not import, with the reason.
func coreForbidden() map[string]string {
	const waits, acts, logs = "a core waits for nobody", "a core does no I/O", "a core logs nothing"
	const draws = "a core takes its *rand.Rand (math/rand/v2) as an argument"
	return map[string]string{
		"context": waits, "sync": waits, "golang.org/x/sync": waits, "golang.org/x/time": waits,
		"os": acts, "net": acts, "syscall": acts, "io/ioutil": acts, "golang.org/x/sys": acts,
		"path/filepath": acts, "runtime": acts, "embed": acts,
		"log": logs, "go.uber.org/zap": logs,
		"math/rand": draws, "crypto/rand": draws, "hash/maphash": draws,
	}
}
