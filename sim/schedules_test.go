// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/node"
)

// schedule is an exact order of events, one that a rule of ARCHITECTURE 3 to 6 is there
// for. It is told by clients, and by nothing that a client can not see but dots.
type schedule struct {
	name string
	rule string // that holds here, and without which the schedule must be red
	play func(s *scene)
}

// ofTheGroup are schedules of nodes that run their metadata group.
func ofTheGroup() []schedule {
	return []schedule{
		{"a leader that dies under a session", "a leader arms sessions with their whole time",
			leaderDies},
		{"a snapshot that is restored", "the fence is in the state", fencesGoOn},
		{"a leader on the minority side", "a leader is confirmed before it answers",
			minorityLeader},
		{"a voter that is restored", "an older store has no seat", restoredVoter},
		{"a loss of power right behind an entry", "entries are durable before they are answered",
			entryBeforePowerLoss},
	}
}

func schedules() []schedule {
	return []schedule{
		{"a blind put after a blind put", "a put's context is the request's and the new dot",
			blindAfterBlind},
		{"a retry through another coordinator", "versions of one request collapse",
			retryElsewhere},
		{"a retry after its value was overwritten", "a coordinator knows its requests",
			retryAfterOverwrite},
		{"a mint that only others kept", "an unclean stop ends the incarnation",
			func(s *scene) { mintOthersKept(s, false) }},
		{"a mint that only others kept, after a clean stop", "an opening removes the clean mark",
			func(s *scene) { mintOthersKept(s, true) }},
		{"a send that comes late", "a copy is merged", lateSend},
		{"a read repair that comes late", "a copy is merged", lateRepair},
		{"a delete of nothing", "a delete deletes what its context covers", deleteOfNothing},
		{"a delete that is tried again", "a retried delete covers its own tombstone",
			retriedDelete},
		{"a loss of all power right after an answer", "w nodes have synced before the answer",
			answerBeforePowerLoss},
		{"a retry while its first try is under way", "every answer waits for what it rests on",
			retryUnderWay},
		{"a disk that fails", "a failed commit ends the process", failedCommit},
		{"a write that too few have", "what may be stored is no failure", writeOfTooFew},
		{"an answer that comes late", "an answer belongs to one call", lateAnswer},
		{"a read where the own copy lags", "r copies are compared, merged and repaired",
			readWhereItLags},
		{"an atomic read of what one owner has", "it is written back before the answer",
			atomicRead},
		{"a wiped disk beside a copy that lags", "a refused store does not count", wipedDisk},
		{"a damaged record", "unreadable is not absent", damagedRecord},
	}
}

// scene is where a schedule is played: three nodes, each with a copy of every key, or five
// where stores are lost. What goes wrong in the setting ends the test; what breaks a rule is noted.
type scene struct {
	*Cluster
	t      *testing.T
	events trace.Recorder
	points map[*Host]*fail.Set
	wrong  []string
}

// perform plays a schedule in the present bubble, and returns how rules were broken.
func (one *schedule) perform(t *testing.T) (wrong []string) {
	t.Helper()
	s := &scene{t: t, points: make(map[*Host]*fail.Set)}
	cfg := DefaultConfig(1)
	is := func(x schedule) bool { return x.name == one.name }
	cfg.Grouped = slices.ContainsFunc(ofTheGroup(), is)
	if slices.ContainsFunc(ofRefills(), is) {
		cfg.Grouped, cfg.Nodes = true, 5
	}
	cfg.Tune = func(h *Host, n *node.Config) {
		if s.points[h] == nil {
			s.points[h] = fail.NewSet()
		}
		n.Points = s.points[h]
		n.Trace = trace.New(uint16(h.ID), &s.events)
		n.Meta.Engine.SnapshotEntries = 16
		// What the background would bring must not hide what a schedule is about.
		n.HintBytes, n.Exchange.Period = 1, 24*time.Hour
	}
	s.Cluster = startCluster(t, cfg)
	one.play(s)
	return s.wrong
}

// TestSchedulesHold plays each of them over the product.
func TestSchedulesHold(t *testing.T) {
	for _, one := range slices.Concat(schedules(), ofTheGroup(), ofRefills()) {
		t.Run(one.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, text := range one.perform(t) {
					t.Error(text)
				}
			})
		})
	}
}

func (s *scene) errorf(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// person is a client that sends each request once, about one key unless it says another.
type person struct {
	s      *scene
	name   string // of its host as well
	bucket *client.Bucket
	key    []byte
}

func (s *scene) person(name string) *person {
	s.t.Helper()
	cl, err := s.Client(name, func(cfg *client.Config) { cfg.Retry.Attempts = 1 })
	must(s.t, err)
	s.t.Cleanup(cl.Close)
	return &person{s: s, name: name, bucket: cl.Bucket("default"), key: []byte("k")}
}

func through(h *Host) client.Option { return client.WithEndpoint(h.Member.Client) }

// put writes on all replicas, unless opts say otherwise.
func (p *person) put(h *Host, value string, opts ...client.Option) client.PutResult {
	p.s.t.Helper()
	opts = append([]client.Option{through(h), client.WithW(client.All)}, opts...)
	done, err := p.bucket.Put(limit(p.s.t), p.key, []byte(value), opts...)
	must(p.s.t, err)
	return done
}

func (p *person) get(h *Host, l client.Level) client.Result {
	p.s.t.Helper()
	found, err := p.bucket.Get(limit(p.s.t), p.key, through(h), client.WithR(l))
	must(p.s.t, err)
	return found
}

// soon is how long somebody waits for an answer that does not come.
const soon = 500 * time.Millisecond

// unheard does a write whose answer is lost: it is carried out, and nobody hears of it.
func (p *person) unheard(h *Host, write func(opts ...client.Option) error) {
	p.s.t.Helper()
	p.get(h, client.One) // connected
	p.s.Net.Cut(h.Addr, p.name)
	err := write(through(h), client.WithTimeout(soon))
	if client.OutcomeOf(err) != client.OutcomeUnknown {
		p.s.t.Fatalf("a write whose answer is lost ended with %v", err)
	}
	p.s.Net.Mend(h.Addr, p.name)
}

// demand says what must be there: in every replica's own copy, and for readers of all.
func (p *person) demand(want ...string) {
	p.s.t.Helper()
	for _, level := range []client.Level{client.One, client.All, client.One} {
		for _, h := range p.s.Hosts {
			p.demandAt(h, level, want...)
		}
	}
}

func (p *person) demandAt(h *Host, l client.Level, want ...string) {
	p.s.t.Helper()
	var values []string
	for _, sibling := range p.get(h, l).Siblings {
		values = append(values, string(sibling.Value))
	}
	slices.Sort(values)
	slices.Sort(want)
	if !slices.Equal(values, want) {
		p.s.errorf("key %s, read at %s by level %v: %q, must be %q", p.key, h.Name, l, values, want)
	}
}

// demandDots says that no dot was issued twice.
func (s *scene) demandDots() {
	type dot struct{ actor, counter uint64 }
	minted := make(map[dot]bool)
	for _, e := range s.events.Events() {
		if e.Kind != trace.DotMinted {
			continue
		}
		d := dot{e.Actor, e.Counter}
		if minted[d] {
			s.errorf("dot %x:%d was issued twice", d.actor, d.counter)
		}
		minted[d] = true
	}
	if len(minted) == 0 {
		s.t.Fatal("no dot was seen")
	}
}
