// SPDX-License-Identifier: Apache-2.0

package overlay

import _ "embed"

// release is the only release line whose sources these edits were read against. A later
// one may match every anchor and still bring a new source of chance.
const release = "go1.26"

// added is a file of ours that joins package runtime; the edits call into it.
//
//go:embed dynosim.go.txt
var added string

const (
	addedFile = "runtime/dynosim.go"
	// editsMark stands in added where the hash of all edits belongs.
	editsMark = "{{edits}}"
)

// Edits returns what is changed in the toolchain's files; doc.go says why.
func Edits() []Edit {
	var all []Edit
	all = append(all, chance()...)
	all = append(all, scheduling()...)
	all = append(all, bubbles()...)
	return append(all, contexts()...)
}

// chance: every random number that a bubble can see comes from the bubble's own state.
func chance() []Edit {
	return []Edit{
		{
			File: "runtime/rand.go", Times: 1,
			Anchor:      "\tglobalRand.state.Init(*seed)\n",
			Replacement: "\tdynosimStartup(seed)\n\tglobalRand.state.Init(*seed)\n",
		},
		{
			File: "runtime/rand.go", Times: 1,
			Anchor: "\tmp := getg().m\n\tc := &mp.chacha8\n",
			Replacement: "\tgp := getg()\n\tif gp.bubble != nil {\n" +
				"\t\treturn gp.bubble.dynosimNext()\n\t}\n" +
				"\tmp := gp.m\n\tc := &mp.chacha8\n",
		},
		{
			File: "runtime/select.go", Times: 1,
			Anchor:      "j := cheaprandn(uint32(norder + 1))",
			Replacement: "j := dynosimCheaprandn(uint32(norder + 1))",
		},
		{
			File: "runtime/time.go", Times: 1,
			Anchor:      "t.rand = cheaprand()",
			Replacement: "t.rand = dynosimCheaprand()",
		},
		{
			File: "crypto/internal/sysrand/rand.go", Times: 1,
			Anchor: "var testingOnlyFailRead bool\n",
			Replacement: "var testingOnlyFailRead bool\n\n" +
				"//go:linkname dynosimFill\nfunc dynosimFill([]byte) bool\n",
		},
		{
			File: "crypto/internal/sysrand/rand.go", Times: 1,
			Anchor:      "func Read(b []byte) {\n",
			Replacement: "func Read(b []byte) {\n\tif dynosimFill(b) {\n\t\treturn\n\t}\n",
		},
	}
}

// scheduling: which goroutine of a bubble runs next depends on the bubble alone, and on
// no clock, no thread and no goroutine outside of it.
func scheduling() []Edit {
	const proc = "runtime/proc.go"
	return []Edit{
		{
			File: proc, Times: 1,
			Anchor:      "\trandinit() // must run before",
			Replacement: "\tdynosimInit()\n\trandinit() // must run before",
		},
		{
			File: proc, Times: 1,
			Anchor:      "strconv.ParseInt(gogetenv(\"GOMAXPROCS\"), 10, 32)",
			Replacement: "strconv.ParseInt(\"1\", 10, 32)",
		},
		{
			File: "runtime/debug.go", Times: 1,
			Anchor:      "func GOMAXPROCS(n int) int {\n",
			Replacement: "func GOMAXPROCS(n int) int {\n\tn = 0 // reads, and changes nothing\n",
		},
		{
			File: proc, Times: 1,
			Anchor:      "const forcePreemptNS = 10 * 1000 * 1000 // 10ms",
			Replacement: "const forcePreemptNS = 1 << 60",
		},
		{
			File: proc, Times: 1,
			Anchor: "\t\tif syst := int64(pp.syscalltick); " +
				"!sysretake && int64(pd.syscalltick) != syst {\n",
			Replacement: "\t\tif thread.gp.bubble != nil {\n" +
				"\t\t\tthread.resume()\n\t\t\tgoto done\n\t\t}\n" +
				"\t\tif syst := int64(pp.syscalltick); " +
				"!sysretake && int64(pd.syscalltick) != syst {\n",
		},
		{
			File: proc, Times: 1,
			Anchor:      "\tif !inheritTime {\n\t\tmp.p.ptr().schedtick++\n",
			Replacement: "\tif !inheritTime && dynosimCounts(gp) {\n\t\tmp.p.ptr().schedtick++\n",
		},
		{
			File: proc, Times: 1,
			Anchor: "\t\trunqput(pp, gp, true)\n\t} else {\n\t\tlock(&sched.lock)\n" +
				"\t\tglobrunqput(gp)\n",
			Replacement: "\t\trunqput(pp, gp, true)\n\t} else if gp.bubble != nil {\n" +
				"\t\trunqput(pp, gp, false)\n\t} else {\n\t\tlock(&sched.lock)\n" +
				"\t\tglobrunqput(gp)\n",
		},
		{
			File: proc, Times: 1,
			Anchor: "\tif randomizeScheduler && next && randn(2) == 0 {\n",
			Replacement: "\tif next && dynosimDefers(gp) {\n\t\tnext = false\n\t}\n" +
				"\tif randomizeScheduler && next && randn(2) == 0 {\n",
		},
		{
			File: proc, Times: 1,
			Anchor: "\tif t-h < uint32(len(pp.runq)) {\n\t\tpp.runq[t%uint32(len(pp.runq))].set(gp)\n" +
				"\t\tatomic.StoreRel(&pp.runqtail, t+1) // store-release, " +
				"makes the item available for consumption\n\t\treturn\n",
			Replacement: "\tif t-h < uint32(len(pp.runq)) {\n\t\tgp = dynosimShuffle(pp, gp, h, t)\n" +
				"\t\tpp.runq[t%uint32(len(pp.runq))].set(gp)\n" +
				"\t\tatomic.StoreRel(&pp.runqtail, t+1)\n\t\treturn\n",
		},
	}
}

// bubbles: what a bubble carries, when it counts as idle, and which clock its mutexes see.
func bubbles() []Edit {
	return []Edit{
		{
			File: "runtime/synctest.go", Times: 1,
			Anchor:      "\tactive  int // other sources of activity\n",
			Replacement: "\tactive  int // other sources of activity\n\n\tdynosim uint64\n",
		},
		{
			File: "runtime/synctest.go", Times: 1,
			Anchor: "\tgp.bubble = bubble\n\tdefer func() {\n\t\tgp.bubble = nil\n",
			Replacement: "\tdynosimBegin(bubble)\n\tgp.bubble = bubble\n\tdefer func() {\n" +
				"\t\tgp.bubble = nil\n\t\tdynosimEnd()\n",
		},
		{
			File: "runtime/runtime2.go", Times: 1,
			Anchor: "var isIdleInSynctest = [len(waitReasonStrings)]bool{\n",
			Replacement: "var isIdleInSynctest = [len(waitReasonStrings)]bool{\n" +
				"\twaitReasonSyncMutexLock: true,\n\twaitReasonSyncRWMutexRLock: true,\n" +
				"\twaitReasonSyncRWMutexLock: true,\n",
		},
		{
			File: "runtime/sema.go", Times: 1,
			Anchor: "func internal_sync_nanotime() int64 {\n",
			Replacement: "func internal_sync_nanotime() int64 {\n\tif b := getg().bubble; b != nil {\n" +
				"\t\treturn b.now\n\t}\n",
		},
		{
			File: "runtime/extern.go", Times: 1,
			Anchor:      "func Version() string {\n\treturn buildVersion\n",
			Replacement: "func Version() string {\n\treturn buildVersion + dynosimVersion\n",
		},
	}
}

// contexts: a context ends its children in the order in which they came. It keeps them in
// a map by their addresses, and addresses depend on what is allocated outside of a bubble.
func contexts() []Edit {
	const context = "context/context.go"
	return []Edit{
		{
			File: context, Times: 1,
			Anchor:      "\t\"internal/reflectlite\"\n",
			Replacement: "\t\"internal/reflectlite\"\n\t\"slices\"\n",
		},
		{
			File: context, Times: 1,
			Anchor:      "\tchildren map[canceler]struct{} //",
			Replacement: "\tdynosim  int\n\tchildren map[canceler]int //",
		},
		{
			File: context, Times: 1,
			Anchor:      "p.children = make(map[canceler]struct{})\n",
			Replacement: "p.children = make(map[canceler]int)\n",
		},
		{
			File: context, Times: 1,
			Anchor:      "p.children[child] = struct{}{}\n",
			Replacement: "p.dynosim++\n\t\t\tp.children[child] = p.dynosim\n",
		},
		{
			File: context, Times: 1,
			Anchor:      "\tfor child := range c.children {\n",
			Replacement: "\tfor _, child := range dynosimInOrder(c.children) {\n",
		},
		{
			File: context, Times: 1,
			Anchor: "// cancel closes c.done, cancels each of c's children, and, if\n",
			Replacement: "func dynosimInOrder(children map[canceler]int) []canceler {\n" +
				"\tall := make([]canceler, 0, len(children))\n" +
				"\tfor child := range children {\n\t\tall = append(all, child)\n\t}\n" +
				"\tslices.SortFunc(all, func(a, b canceler) int {\n" +
				"\t\treturn children[a] - children[b]\n\t})\n\treturn all\n}\n\n" +
				"// cancel closes c.done, cancels each of c's children, and, if\n",
		},
	}
}
