// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"github.com/dyno-kv/dyno/client"
)

// losePower takes the power of all hosts at once, and with it all that was not synced.
func (s *scene) losePower() {
	for _, h := range s.Hosts {
		h.Disk.LosePower(nil) // not even by chance is there more
	}
	for _, h := range s.Hosts {
		h.LosePower()
	}
}

// slowSyncs lets every sync take a second, so that what waits for one can be told from
// what does not.
func (s *scene) slowSyncs(slow bool) {
	for _, h := range s.Hosts {
		h.Disk.SetSyncTime(2 * time.Millisecond)
		if slow {
			h.Disk.SetSyncTime(time.Second)
		}
	}
}

// answerBeforePowerLoss: all hosts lose their power when a write has just been answered,
// and the one that answered never comes back: of the two nodes that the write waited for
// one is left.
func answerBeforePowerLoss(s *scene) {
	first, second := s.Hosts[0], s.Hosts[1]
	x := s.person("x")
	s.slowSyncs(true)
	x.put(first, "x", client.WithW(client.Quorum))
	s.losePower()
	s.slowSyncs(false)
	for _, h := range s.Hosts[1:] {
		must(s.t, h.Start(limit(s.t)))
	}
	must(s.t, s.AwaitReady(limit(s.t)))
	x.demandAt(second, client.Quorum, "x")
}

// retryUnderWay: a client has no patience and tries again before the first try of its
// write is durable anywhere. The second try has nothing to write, and must wait all the
// same: after its answer all hosts lose their power.
func retryUnderWay(s *scene) {
	first := s.Hosts[0]
	x := s.person("x")
	id := client.WithRequestID(client.RequestID{1})
	s.slowSyncs(true)
	_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), through(first), id,
		client.WithTimeout(50*time.Millisecond))
	if client.OutcomeOf(err) != client.OutcomeUnknown {
		s.t.Fatalf("a put without patience ended with %v", err)
	}
	x.put(first, "x", id)
	s.losePower()
	s.slowSyncs(false)
	must(s.t, s.Start(limit(s.t)))
	x.demand("x")
}

// failedCommit: the syncs of two disks fail under a write, the third owner is out of
// reach, and then the power fails. Whatever the writer was told must be true.
func failedCommit(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x := s.person("x")
	x.put(first, "before")
	s.Net.Cut(first.Addr, third.Addr)
	first.Disk.Fail(Data, OpSync, 1)
	second.Disk.Fail(Data, OpSync, 1)
	_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), through(first))
	time.Sleep(drained) // whose disk has failed is gone
	s.losePower()
	s.Net.Heal()
	must(s.t, s.Start(limit(s.t)))
	if err == nil {
		x.demandAt(third, client.All, "before", "x")
		return
	}
	for _, h := range s.Hosts {
		if n := len(x.get(h, client.All).Siblings); n == 0 {
			s.errorf("what was synced before the disks failed is gone")
		}
	}
}

// writeOfTooFew: one owner dies when a write that needs all of them begins. The others
// have it, so nobody may be told that it failed for certain.
func writeOfTooFew(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x := s.person("x")
	x.put(first, "before")
	must(s.t, third.Kill())
	_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), through(first),
		client.WithW(client.All))
	if err == nil {
		s.errorf("a write of all was answered without one of them")
		return
	}
	if len(x.get(second, client.Quorum).Siblings) != 2 {
		s.t.Fatal("the others do not have the write")
	}
	if client.OutcomeOf(err) == client.OutcomeNone {
		s.errorf("a write that is there was told to have failed: %v", err)
	}
}

// lateAnswer: a read is given up since its answer is held on the way. That comes while the
// next read, of another key, waits for its own on the same connection.
func lateAnswer(s *scene) {
	first := s.Hosts[0]
	x := s.person("x")
	for _, name := range []string{"one", "other"} {
		x.key = []byte(name)
		x.put(first, name)
	}
	s.Net.Cut(first.Addr, x.name)
	_, err := x.bucket.Get(limit(s.t), []byte("one"), through(first), client.WithTimeout(soon))
	if err == nil {
		s.t.Fatal("an answer came over a link that is cut")
	}
	time.AfterFunc(soon/2, func() { s.Net.Mend(first.Addr, x.name) })
	x.demandAt(first, client.One, "other")
}

// readWhereItLags: an owner has not heard that its copy was overwritten, and is asked for
// a quorum's. It shows what the quorum has, and has it itself afterwards.
func readWhereItLags(s *scene) {
	first, third := s.Hosts[0], s.Hosts[2]
	x := s.person("x")
	before := x.put(first, "before")
	s.Net.Cut(first.Addr, third.Addr)
	x.put(first, "x", client.WithContext(before.Context), client.WithW(client.Quorum))
	x.demandAt(third, client.One, "before")
	x.demandAt(third, client.Quorum, "x")
	time.Sleep(time.Second)
	x.demandAt(third, client.One, "x") // by repair: the write's own send is still held
	s.Net.Heal()
	time.Sleep(time.Second)
	x.demand("x")
}

// atomicRead: one owner alone has a write, for the others died as it was made. An atomic
// read has shown it, so that the next one must show it too, wherever it is made.
func atomicRead(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x := s.person("x")
	x.put(first, "before")
	must(s.t, second.Kill())
	must(s.t, third.Kill())
	if _, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), through(first)); err == nil {
		s.t.Fatal("a write that one owner has was answered")
	}
	must(s.t, s.Start(limit(s.t)))
	read := func(h *Host) int {
		found, err := x.bucket.Get(limit(s.t), x.key, through(h), client.WithAtomic(),
			client.WithR(client.Quorum))
		must(s.t, err)
		return len(found.Siblings)
	}
	if read(first) != 2 {
		s.t.Fatal("the owner that has the write does not show it")
	}
	must(s.t, first.Kill())
	if n := read(second); n != 2 {
		s.errorf("an atomic read showed 2 values, and the next one %d", n)
	}
}

// wipedDisk: of the two owners that have a write one is down and the other has lost its
// disk. The third has not heard of the write. Its "not found" is the only one there is.
func wipedDisk(s *scene) {
	first, second, third := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	x := s.person("x")
	s.Net.Cut(first.Addr, third.Addr)
	x.put(first, "x", client.WithW(client.Quorum))
	must(s.t, first.Kill())
	must(s.t, second.Kill())
	must(s.t, second.Disk.Wipe())
	must(s.t, second.Start(limit(s.t)))
	time.Sleep(10 * time.Second)
	for _, h := range []*Host{second, third} {
		found, err := x.bucket.Get(limit(s.t), x.key, through(h), client.WithR(client.Quorum),
			client.WithTimeout(time.Second))
		if err == nil && !found.Found {
			s.errorf("%s says that a quorum does not have what was acknowledged", h.Name)
		}
	}
}

// damagedRecord: the one owner that can be asked has a record that it can not read. That
// is an error, and nothing else.
func damagedRecord(s *scene) {
	first := s.Hosts[0]
	x := s.person("x")
	for i := range 10 {
		x.key = key(i)
		x.put(first, "x")
	}
	s.losePower()
	for i := range uint64(100) {
		first.Disk.FlipBit(Data, source(i, "flip"))
	}
	must(s.t, s.Start(limit(s.t)))
	s.Net.Cut(s.Hosts[1].Addr, first.Addr)
	s.Net.Cut(s.Hosts[2].Addr, first.Addr)
	damaged := 0
	for i := range 10 {
		found, err := x.bucket.Get(limit(s.t), key(i), through(first), client.WithR(client.One),
			client.WithTimeout(soon))
		if err != nil {
			damaged++
		} else if !found.Found {
			s.errorf("%s, which is damaged, is told not to be there", key(i))
		}
	}
	if damaged == 0 && len(s.wrong) == 0 {
		s.t.Fatal("no record was damaged")
	}
}
