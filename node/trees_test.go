// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// trees are the numbers of a member's trees once it has had the time to build them.
func (m *member) trees() replica.TreeStats {
	time.Sleep(5 * time.Second)
	return m.life.node.data.Load().replica.TreeStats()
}

// roots are the roots of a member's trees.
func (m *member) roots(t *testing.T) (roots []antientropy.Sum) {
	t.Helper()
	r := m.life.node.data.Load().replica
	for p := range m.life.node.ringOf().Partitions() {
		root, err := r.Root(context.Background(), uint16(p))
		if err != nil {
			t.Errorf("partition %d: %v", p, err)
		}
		roots = append(roots, root)
	}
	return roots
}

// The trees of a clean stop are those of the next start, and of no later one.
func TestTreesOfACleanStopAreUsedExactlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		put := func(from, to int) {
			for n := from; n < to; n++ {
				must(t, m.client().put(strict(fmt.Sprintf("key-%d", n), "v")))
			}
		}
		built := func(when string, builds bool) {
			t.Helper()
			s := m.trees()
			if s.Known != s.Owned || s.Owned == 0 || s.Mismatches != 0 || (s.Builds > 0) != builds {
				t.Errorf("%s: %+v, builds expected: %v", when, s, builds)
			}
		}
		same := func(when string, want []antientropy.Sum) {
			t.Helper()
			if got := m.roots(t); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: the roots are %v, and were %v", when, got, want)
			}
		}
		put(0, 20)
		built("the first life", true)
		roots := m.roots(t)
		must(t, m.stop())
		m.start()
		r.awaitReady()
		built("after a clean stop", false)
		same("after a clean stop", roots)
		put(20, 40) // the trees go on from there
		roots = m.roots(t)
		m.kill(false)
		m.start()
		r.awaitReady()
		built("after a kill", true)
		same("after a kill", roots)

		must(t, m.stop())
		m.start() // uses them
		m.kill(false)
		m.start()
		r.awaitReady()
		built("after a clean stop and a kill", true)
		same("after a clean stop and a kill", roots)

		// The parts of one stop together with the mark of another.
		must(t, m.stop())
		old := m.controlRecords()[wire.TreePartKey(0)]
		m.start()
		r.awaitReady()
		put(40, 60)
		roots = m.roots(t)
		must(t, m.stop())
		control := storage.OpenControl(m.ctrl, zap.NewNop())
		must(t, control.Put(wire.TreePartKey(0), old))
		m.start()
		r.awaitReady()
		built("with the parts of an earlier stop", true)
		same("with the parts of an earlier stop", roots)

		// A damaged part is as good as none.
		must(t, m.stop())
		m.ctrl.Damage([]byte(wire.TreePartKey(0)), func(b []byte) []byte { return b[:len(b)-1] })
		m.start()
		r.awaitReady()
		built("with a damaged part", true)
		same("with a damaged part", roots)
	})
}

func TestTreesAreKeptInAsManyPartsAsTheyNeed(t *testing.T) {
	var trees []*antientropy.Tree
	const partitions = 32
	for p := range uint16(partitions) {
		tree := antientropy.New(antientropy.ShapeOf(7, partitions, p))
		leaves := uint16(100)
		if p == 3 {
			leaves = 1000 // more than a part holds
		}
		for leaf := range leaves {
			tree.Change(leaf, antientropy.Entry{}, antientropy.Entry{Held: antientropy.HeldObject, Hash: uint64(p) + 1})
		}
		trees = append(trees, tree)
	}
	for limit, want := range map[int]int{12 << 10: partitions - 1, 1 << 20: partitions} {
		engine := storage.NewMemory()
		engine.SetLimits(storage.Limits{Bytes: limit, Count: 10, Value: limit})
		o := &opening{control: storage.OpenControl(engine, zap.NewNop())}
		o.past.Opens = []kv.Open{{Seq: 4, Nonce: 5}}
		parts, err := o.leaveTrees(trees)
		if err != nil || parts == 0 || limit < 1<<20 && parts < 3 {
			t.Fatalf("%d parts, %v", parts, err)
		}
		read := o.readTrees(parts)
		if len(read) != want {
			t.Errorf("%d trees were read, want %d", len(read), want)
		}
		for _, tree := range read {
			if !tree.Equal(trees[tree.Shape().Partition]) {
				t.Errorf("%s: another tree was read", tree.Shape())
			}
		}
		if one := o.readTrees(1); len(one) == 0 || limit < 1<<20 && len(one) >= want {
			t.Errorf("%d trees are in the first part", len(one))
		}
		o.past.Opens = []kv.Open{{Seq: 4, Nonce: 6}}
		if read = o.readTrees(parts); len(read) != 0 {
			t.Errorf("%d trees of another opening were read", len(read))
		}
	}
}

func TestPartsOfTreesAreBounded(t *testing.T) {
	engine := storage.NewMemory()
	engine.SetLimits(storage.Limits{Bytes: treePartRoom + 1000, Count: 10, Value: 1 << 20})
	o := &opening{control: storage.OpenControl(engine, zap.NewNop())}
	o.past.Opens = []kv.Open{{Seq: 4, Nonce: 5}}
	var trees []*antientropy.Tree
	for p := range uint16(1000) { // about five to a part
		trees = append(trees, antientropy.New(antientropy.ShapeOf(7, 1024, p)))
	}
	parts, err := o.leaveTrees(trees)
	if err != nil || parts != maxTreeParts {
		t.Errorf("%d parts, %v; want %d", parts, err, maxTreeParts)
	}
	if read := o.readTrees(parts); len(read) < maxTreeParts || len(read) == len(trees) {
		t.Errorf("%d trees of %d were kept", len(read), len(trees))
	}
}
