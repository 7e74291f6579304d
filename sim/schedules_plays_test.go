// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"github.com/dyno-kv/dyno/client"
)

// blindAfterBlind: x writes blindly after y did, at one owner, and then goes on with the
// context that it was handed. It has never read y's value, so that must stay.
func blindAfterBlind(s *scene) {
	first := s.Hosts[0]
	x, y := s.person("x"), s.person("y")
	for i, second := range s.Hosts[:2] {
		x.key, y.key = key(i), key(i)
		y.put(first, "y")
		mine := x.put(first, "x")
		x.put(second, "x again", client.WithContext(mine.Context))
		x.demand("y", "x again")
	}
}

// retryElsewhere: the first coordinator has its write at two of three owners when its
// answer is lost. The client asks the third, which has not heard of the write and mints
// another dot for it. Where both meet one of them goes, and nothing else does.
func retryElsewhere(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x, z := s.person("x"), s.person("z")
	id := client.WithRequestID(client.RequestID{1})
	s.Net.Cut(first.Addr, second.Addr)
	x.unheard(first, func(opts ...client.Option) error {
		_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), append(opts, id)...)
		return err
	})
	x.demandAt(second, client.One)
	x.put(second, "x", id, client.WithW(client.Quorum))
	z.put(third, "z")
	s.Net.Heal()
	time.Sleep(time.Second) // what the cut has held
	x.demand("x", "z")
	found := x.get(first, client.All)
	x.put(first, "x again", client.WithContext(found.Context))
	x.demand("x again")
}

// retryAfterOverwrite: the answer to x is lost, y reads x's value and overwrites it, and
// only then x tries again, where it did before. Its write is done and over: y's value
// stays alone. And x has not read it, whatever the answer says.
func retryAfterOverwrite(s *scene) {
	first, second := s.Hosts[0], s.Hosts[1]
	x, y := s.person("x"), s.person("y")
	id := client.WithRequestID(client.RequestID{1})
	x.unheard(first, func(opts ...client.Option) error {
		_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), append(opts, id)...)
		return err
	})
	found := y.get(second, client.All)
	y.put(second, "y", client.WithContext(found.Context))
	done := x.put(first, "x", id)
	x.demand("y")
	x.put(first, "x again", client.WithContext(done.Context))
	x.demand("y", "x again")
}

// mintOthersKept: an owner loses power after a mint that the others have stored and its
// own disk has not. What it mints next of that key must not have the same dot: the others
// would take it for what they have. resumed: the lost dot was one of an incarnation that
// a clean stop had left, so that a mark on the disk names the counter before it.
func mintOthersKept(s *scene, resumed bool) {
	h := s.Hosts[0]
	x := s.person("x")
	x.put(h, "before")
	if resumed {
		must(s.t, h.Stop())
		must(s.t, s.Start(limit(s.t)))
	}
	h.Disk.SetSyncTime(time.Second)
	x.put(h, "lost at home", client.WithW(client.Quorum))
	h.Disk.LosePower(nil) // not even by chance is there what was not synced
	h.LosePower()
	h.Disk.SetSyncTime(2 * time.Millisecond)
	must(s.t, s.Start(limit(s.t)))
	if found := x.get(h, client.One); len(found.Siblings) != 1 {
		s.t.Fatalf("%d values on the disk that lost one of two", len(found.Siblings))
	}
	x.put(h, "after")
	x.demandAt(h, client.All, "before", "lost at home", "after")
	time.Sleep(time.Second) // the read's repair brings home what was lost there
	x.demand("before", "lost at home", "after")
	s.demandDots()
}

// lateSend: sends to the third owner are held on their way, beyond the deadline of their
// sender, until the key was deleted, overwritten, or given a sibling through the second.
// Then they come. Nothing comes back by it, and nothing is lost.
func lateSend(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x, y := s.person("x"), s.person("y")
	s.Net.Cut(first.Addr, third.Addr)
	for i, and := range []func(context client.Context){
		func(context client.Context) {
			_, err := y.bucket.Delete(limit(s.t), y.key, through(second), client.WithContext(context),
				client.WithW(client.All))
			must(s.t, err)
		},
		func(context client.Context) { y.put(second, "y", client.WithContext(context)) },
		func(client.Context) { y.put(second, "y") },
	} {
		x.key, y.key = key(i), key(i)
		x.put(first, "x", client.WithW(client.Quorum))
		and(y.get(second, client.One).Context)
	}
	time.Sleep(10 * time.Second) // nobody waits for the sends any more
	s.Net.Heal()
	time.Sleep(time.Second)
	for i, want := range [][]string{nil, {"y"}, {"x", "y"}} {
		x.key = key(i)
		x.demand(want...)
	}
}

// lateRepair: the third owner was down during a write, and a read through the first finds
// that out. Its repair is held on the way until the key was overwritten. Then it comes.
func lateRepair(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x, y := s.person("x"), s.person("y")
	must(s.t, third.Stop())
	x.put(first, "x", client.WithW(client.Quorum))
	must(s.t, s.Start(limit(s.t)))

	// A read of three takes two rounds here, half a second each, since the copies differ.
	// The link is cut during the second: the repair goes out after it.
	normal := s.Net.Faults(third.Addr, first.Addr)
	slow := normal
	slow.Delay = soon
	s.Net.SetFaults(third.Addr, first.Addr, slow)
	time.AfterFunc(soon+soon/2, func() { s.Net.Cut(first.Addr, third.Addr) })
	x.demandAt(first, client.All, "x")
	time.Sleep(soon)
	if found := x.get(third, client.One); found.Found {
		s.t.Fatal("the repair has not been held")
	}
	y.put(second, "y", client.WithContext(y.get(second, client.One).Context))
	s.Net.SetFaults(third.Addr, first.Addr, normal)
	s.Net.Heal()
	time.Sleep(time.Second)
	x.demand("y")
}

// deleteOfNothing: y has found nothing and deletes it, while x has put something: y has
// never seen that.
func deleteOfNothing(s *scene) {
	first, second := s.Hosts[0], s.Hosts[1]
	x, y := s.person("x"), s.person("y")
	found := y.get(first, client.All)
	x.put(second, "x")
	_, err := y.bucket.Delete(limit(s.t), y.key, through(first), client.WithContext(found.Context))
	must(s.t, err)
	x.demand("x")
}

// retriedDelete: the answer to a blind delete is lost, and somebody puts a value before it
// is tried again. Whoever deletes has not seen that value, and must not be told that it
// has.
func retriedDelete(s *scene) {
	first, second := s.Hosts[0], s.Hosts[1]
	x, y := s.person("x"), s.person("y")
	id := client.WithRequestID(client.RequestID{1})
	x.put(first, "old")
	x.unheard(first, func(opts ...client.Option) error {
		_, err := x.bucket.Delete(limit(s.t), x.key, append(opts, id)...)
		return err
	})
	x.demand()
	y.put(second, "y")
	done, err := x.bucket.Delete(limit(s.t), x.key, through(first), id)
	must(s.t, err)
	x.demand("y")
	x.put(first, "x", client.WithContext(done.Context))
	x.demand("x", "y")
}
