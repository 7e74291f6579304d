// SPDX-License-Identifier: Apache-2.0

package seats

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
)

// condition is what became of a member.
type condition uint8

const (
	well       condition = iota
	down                 // its process does not run
	rolled               // its store was rolled back: refused, with the raft state in it
	wiped                // it came back accepted, but without its raft state
	leaving              // it runs, and leaves
	conditions           // how many there are
)

func (c condition) String() string {
	return [...]string{"well", "down", "rolled", "wiped", "leaving"}[c]
}

// world is a model of a group around the real state machine: who runs, what raft state
// each has, and the configuration.
type world struct {
	t       testing.TB
	story   []string
	state   *state.State
	members []*node // number 1 first
	leader  *node
	seats   map[state.RaftID]bool // true: a voter
	formed  bool
	expect  int
}

type node struct {
	id      kv.NodeID
	opens   []kv.Open
	running bool
	leaving bool
	begun   state.RaftID // the raft state that it has
	nonce   uint64
}

func testConfig() Config {
	return Config{DeadAfter: time.Minute, RefusedAfter: 10 * time.Second, HeardWithin: time.Second}
}

func registration(i int, zone string) state.RegisterMember {
	host := fmt.Sprintf("n%d", i)
	return state.RegisterMember{Name: host, Zone: zone, Weight: 1, Addresses: state.Addresses{
		Client: host + ":1", Peer: host + ":2", Gossip: host + ":3",
	}}
}

// newWorld is a group of one voter, with so many members that run.
func newWorld(t testing.TB, members int, zones ...string) *world {
	t.Helper()
	zone := func(i int) string {
		if len(zones) == 0 {
			return ""
		}
		return zones[(i-1)%len(zones)]
	}
	open := kv.Open{Seq: 1, Nonce: 1}
	s, err := state.Found(state.Founding{
		Cluster: ring.ClusterID{1}, Replicas: 1, Partitions: 16, Expect: members,
		First: registration(1, zone(1)), Open: open,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, state: s, seats: make(map[state.RaftID]bool), expect: members}
	for i := 1; i <= members; i++ {
		n := &node{id: kv.NodeID(i)}
		w.members = append(w.members, n)
		if i == 1 {
			n.begun = w.member(n).Raft
			n.opens, n.running = []kv.Open{open}, true
			w.show(n)
			continue
		}
		w.apply(registration(i, zone(i)))
		w.restart(n)
	}
	w.leader = w.members[0]
	w.seats[w.leader.begun] = true
	return w
}

func (w *world) apply(c state.Command) state.Result {
	w.t.Helper()
	entry := state.AppendEntry(nil, state.Token{}, c)
	applied, err := w.state.Apply(w.state.Index()+1, 1, entry)
	if err != nil {
		w.t.Fatal(err)
	}
	return applied.Results[0]
}

func (w *world) member(n *node) state.Member {
	m, ok := w.state.Member(n.id)
	if !ok {
		w.t.Fatalf("member %d is unknown", n.id)
	}
	return m
}

// restart opens a member's store once more, and shows it to the group.
func (w *world) restart(n *node) {
	n.nonce++
	seq := uint64(1)
	if len(n.opens) > 0 {
		seq = n.opens[len(n.opens)-1].Seq + 1
	}
	n.opens = append(n.opens, kv.Open{Seq: seq, Nonce: n.nonce})
	n.running = true
	w.show(n)
}

func (w *world) show(n *node) { w.apply(state.OpenStore{Node: n.id, Opens: n.opens}) }

// afflict lets something happen to a member.
func (w *world) afflict(n *node, c condition) {
	w.story = append(w.story, fmt.Sprintf("%d is %v", n.id, c))
	switch c {
	case well:
	case down:
		n.running = false
	case rolled:
		n.opens = n.opens[:len(n.opens)-1] // the group knows the last one
		w.restart(n)
	case wiped:
		n.begun = 0
		w.restart(n)
	case leaving:
		n.leaving = true
	}
}

// answers reports whether a seat takes part in raft.
func (w *world) answers(id state.RaftID) bool {
	n := w.members[id.Node()-1]
	m := w.member(n)
	return n.running && n.begun == id && !(m.RaftRefused && m.Raft == id)
}

func (w *world) voters() (all, answering int) {
	for id, voter := range w.seats {
		if voter {
			all++
			if w.answers(id) {
				answering++
			}
		}
	}
	return all, answering
}

func (w *world) quorate() bool {
	all, answering := w.voters()
	return answering > all/2
}

// elect lets a voter lead that answers, if the leader does not; with a majority one can.
func (w *world) elect() {
	if id := w.leader.begun; w.seats[id] && w.answers(id) {
		return
	}
	for _, n := range w.members {
		if w.seats[n.begun] && w.answers(n.begun) {
			w.leader = n
			return
		}
	}
}

func (w *world) view(silence time.Duration) View {
	v := View{
		Self: w.leader.begun, First: 10, Last: 20, Members: w.state.Members(),
		Formed: w.formed, Expect: w.expect,
		Alive: func(id kv.NodeID) bool { return w.members[id-1].running },
	}
	for i := range v.Members {
		v.Members[i].Left = w.members[i].leaving
	}
	for id, voter := range w.seats {
		s := Seat{Raft: id, Voter: voter, Match: 20}
		if !w.answers(id) {
			s.Silent, s.Match = silence, 0
		}
		v.Seats = append(v.Seats, s)
	}
	slices.SortFunc(v.Seats, func(a, b Seat) int { return int(int64(a.Raft) - int64(b.Raft)) })
	return v
}

// take carries a step out, and checks that it may be taken (I1 to I4).
func (w *world) take(s Step) {
	w.t.Helper()
	w.story = append(w.story, fmt.Sprintf("%v %v node %d", s.Kind, s.Raft, s.Node))
	before := w.view(time.Hour)
	d := newDecision(testConfig(), before)
	if !w.quorate() {
		w.fail("a step without a majority")
	}
	if s.Raft == w.leader.begun && s.Kind != Transfer {
		w.fail("the leader gives itself up (I4)")
	}
	switch s.Kind {
	case Assign:
		if !w.members[s.Node-1].running {
			w.fail("a raft id for a member that is down")
		}
		r := w.apply(state.AssignRaft{Node: s.Node, For: s.For, Previous: s.Previous})
		if r.Code != state.CodeOK {
			w.fail(r.Detail)
		}
	case Drop:
		w.apply(state.DropRaft{Raft: s.Raft})
	case AddLearner:
		n := w.members[s.Raft.Node()-1]
		m := w.member(n)
		if !n.running || n.begun != s.Raft && m.RaftFor() != n.opens[len(n.opens)-1] {
			w.fail("a seat for a member that is down, or can not begin")
		}
		w.seats[s.Raft] = false
	case Promote:
		w.seats[s.Raft] = true
	case Remove:
		if !w.seats[s.Raft] {
			delete(w.seats, s.Raft)
			break
		}
		if d.owned(s.Raft) {
			w.fail("a voter is removed that is its member's (I2)")
		}
		delete(w.seats, s.Raft)
	case Transfer:
		w.leader = w.members[s.Raft.Node()-1]
	}
	if !w.quorate() {
		w.fail("no majority answers after the step (I1)")
	}
	for _, n := range w.members {
		m := w.member(n)
		if n.running && m.Raft != 0 && m.RaftFor() == n.opens[len(n.opens)-1] {
			n.begun = m.Raft // it learns of its raft id, and begins it
		}
	}
}

// settle takes steps until there is none, and returns how many that were.
func (w *world) settle() int {
	w.t.Helper()
	for n := 0; ; n++ {
		if n > 100 {
			w.fail("the steps come to no end (I5)")
		}
		w.elect()
		s := Decide(testConfig(), w.view(time.Hour))
		if s.Kind == None {
			return n
		}
		w.take(s)
	}
}

func (w *world) fail(why string) {
	w.t.Helper()
	for _, line := range w.story {
		w.t.Log(line)
	}
	w.t.Fatalf("%s; seats are %v, leader %d", why, w.seats, w.leader.id)
}

// checkEnd checks what must be so when no step is left (I5).
func (w *world) checkEnd() {
	w.t.Helper()
	if !w.quorate() {
		return // nothing could be done
	}
	running, staying := 0, 0
	for _, n := range w.members {
		if n.leaving {
			continue
		}
		staying++
		if n.running {
			running++
		}
	}
	wanted := Wanted(staying)
	if !w.formed {
		wanted = Wanted(max(staying, w.expect))
	}
	good, all := 0, 0
	for id, voter := range w.seats {
		n := w.members[id.Node()-1]
		if voter {
			all++
		}
		if voter && w.answers(id) && !n.leaving {
			good++
		}
	}
	if good != min(wanted, running) {
		w.fail(fmt.Sprintf("%d good voters, %d wanted, %d members run", good, wanted, running))
	}
	if good == wanted && (all != wanted || len(w.seats) != wanted) {
		w.fail(fmt.Sprintf("%d voters, %d seats, %d wanted", all, len(w.seats), wanted))
	}
}
