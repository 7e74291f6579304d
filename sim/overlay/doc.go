// SPDX-License-Identifier: Apache-2.0

// Package overlay makes a testing/synctest bubble repeat itself: it edits a copy of some
// files of the local Go toolchain, and the go command builds with them.
//
//	tc, err := overlay.Local(ctx, "go", ".")
//	o, err := overlay.Generate(tc, cache)
//	// go build -overlay o.Path ..., then each process with Run{Seed: 7}.Environ()
//
// A bubble of the stock runtime has deterministic time and nothing else: maps, select,
// timers of one instant, global random numbers and the scheduler draw from the kernel's
// randomness and from real time. The edits (edits.go: file, anchor, how often it stands
// there, what replaces it) and one file of ours (dynosim.go.txt) take that away. The tree
// holds no copy of a file of the toolchain.
//
//   - I1 An edit applies exactly as often as it says, or nothing is written and the error
//     names file, anchor and toolchain. Other release lines than the one whose sources
//     were read are refused even where every anchor matches.
//   - I2 A program with the edits does not start without DYNO_SIM_SEED: it can not serve in
//     production by mistake, and no run of it is without a seed. Running tells a program
//     whether it has them.
//   - I3 In a bubble, with the variables of Run.Environ, what its goroutines see depends on
//     the seed and the program alone, but for the list below.
//
// # What is edited, and why
//
//   - runtime/rand.go: the kernel's random bytes at the start become the seed's (hash keys,
//     place of the heap); a goroutine in a bubble draws from the bubble's own state: seeds
//     and order of maps, hash/maphash, the global functions of math/rand and math/rand/v2.
//   - crypto/internal/sysrand: crypto/rand draws there too, inside a bubble only.
//   - runtime/select.go, time.go: which ready case, which timer of one instant.
//   - runtime/proc.go, debug.go: one processor, whatever GOMAXPROCS says, and no time
//     slices. A system call made in a bubble keeps the processor until it returns, so what
//     runs meanwhile does not depend on the disk. Goroutines from outside of the bubble
//     (timers of real time, the runtime's own) neither push aside the one that runs next
//     nor count in the turns after which the global queue is looked at. Gosched in a bubble
//     stays in the local queue. With Run.SeededOrder the seed also chooses whom of its
//     runnable goroutines a bubble runs.
//   - runtime/runtime2.go: waiting for a sync.Mutex or RWMutex is durable, so a mutex held
//     over a sleep does not stop the bubble for ever.
//   - runtime/sema.go: a mutex becomes unfair after a millisecond of the bubble's time; of
//     real time otherwise, which is how fast the machine happens to be.
//   - context/context.go: a context ends its children in the order in which they came; the
//     stock one keeps them in a map by address.
//   - runtime/synctest.go, extern.go: the state; runtime.Version names the edits.
//
// # What stays to chance
//
//   - The first bubble of a process is not like the second (each has a stream of its own,
//     and what is initialised once is initialised in the first). One seed, one process.
//   - Garbage collection: it empties sync.Pool and runs finalizers, cleanups and weak
//     pointers at its own times. Environ turns it off.
//   - What is read from outside: files that others write, sockets, pipes, environment,
//     process ids, names of temporary folders; runtime.nanotime and cputicks where a library
//     links to them (ristretto does, in its metrics); goroutine numbers and times in stack
//     traces and profiles.
//   - Addresses: values of pointers depend on every allocation before, those outside of the
//     bubble and of new threads included. The order of a map by pointer, interface or
//     channel may differ: do not range over one where the order can be seen.
//   - Goroutines outside of the bubble that share a channel, mutex or variable with it; a
//     mutex that they hold is also no durable wait, though it counts as one.
//   - More than 256 runnable goroutines at once: the rest waits in the queue that goroutines
//     from outside share, and every 61st turn takes from its head.
//   - A goroutine that waits in a loop for another one, without Gosched, waits for ever:
//     nobody takes the processor from it. A system call that waits for another goroutine of
//     this process (a pipe in blocking mode, a file system served by itself) does as well.
//   - Threads: C code, signals, runtime.LockOSThread.
//
// The race detector moves goroutines on its own account; the plain lane is for it.
package overlay
