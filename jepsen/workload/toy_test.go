// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// toy is a store of siblings in memory. Its contexts name what they cover, so that a test
// can tell what a write was really sent with.
type toy struct {
	next int
	live map[string][]int
	data map[int]string
	// covered are the payloads that the context of each write named, in order of the
	// writes; nil: it was sent without.
	covered [][]string
	// instead answers in the place of the store, where it is not nil.
	instead func(r *workload.Request) *workload.Answer
	puts    int
	// requests are all that came.
	requests []workload.Request
	// only are the only ids that a read shows, where it is not nil.
	only []int
	// fate says whether a put is done, and what its client is told.
	fate func(r *workload.Request) (done bool, told history.Outcome)
	ends map[int]time.Time // of what does not stay
}

func newToy() *toy {
	return &toy{
		live: make(map[string][]int), data: make(map[int]string), ends: make(map[int]time.Time),
	}
}

func (s *toy) Get(_ context.Context, r *workload.Request) workload.Answer {
	if a := s.other(r); a != nil {
		return *a
	}
	ids := slices.Clone(s.live[r.Key])
	ids = slices.DeleteFunc(ids, func(id int) bool {
		end, mortal := s.ends[id]
		return mortal && !time.Now().Before(end)
	})
	if s.only != nil {
		ids = s.only
	}
	return workload.Answer{
		Outcome: history.OK, Values: s.values(ids), Context: contextOf(ids...), Node: "toy",
	}
}

func (s *toy) Put(_ context.Context, r *workload.Request) workload.Answer {
	s.puts++
	if a := s.other(r); a != nil {
		return *a
	}
	told := history.OK
	if s.fate != nil {
		done := false
		if done, told = s.fate(r); !done {
			return workload.Answer{Outcome: told}
		}
	}
	mine := s.write(r, string(r.Value))
	if r.TTL > 0 {
		s.ends[mine] = time.Now().Add(r.TTL)
	}
	s.live[r.Key] = append(s.live[r.Key], mine)
	a := workload.Answer{Outcome: told, Context: contextOf(mine), Node: "toy"}
	if r.Siblings {
		a.Values, a.Context = s.values(s.live[r.Key]), contextOf(s.live[r.Key]...)
	}
	return a
}

func (s *toy) Delete(_ context.Context, r *workload.Request) workload.Answer {
	if a := s.other(r); a != nil {
		return *a
	}
	all := s.live[r.Key]
	mine := s.write(r, "")
	if len(r.Context) == 0 {
		s.live[r.Key] = slices.DeleteFunc(s.live[r.Key], func(id int) bool {
			return slices.Contains(all, id)
		})
	}
	return workload.Answer{Outcome: history.OK, Context: contextOf(mine), Node: "toy"}
}

func (s *toy) other(r *workload.Request) *workload.Answer {
	s.requests = append(s.requests, *r)
	if s.instead == nil {
		return nil
	}
	return s.instead(r)
}

// write gives the write an id, notes what it covers, and takes that away.
func (s *toy) write(r *workload.Request, payload string) int {
	s.next++
	s.data[s.next] = payload
	var covered []string
	for _, text := range strings.Fields(string(r.Context)) {
		id, _ := strconv.Atoi(text) // 0, which nobody has, where it is none
		covered = append(covered, s.data[id])
		s.live[r.Key] = slices.DeleteFunc(s.live[r.Key], func(other int) bool { return other == id })
	}
	s.covered = append(s.covered, covered)
	return s.next
}

func (s *toy) values(ids []int) [][]byte {
	var out [][]byte
	for _, id := range ids {
		out = append(out, []byte(s.data[id]))
	}
	return out
}

func contextOf(ids ...int) []byte {
	var out []byte
	for _, id := range ids {
		out = append(strconv.AppendInt(out, int64(id), 10), ' ')
	}
	return out
}
