// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/client"
)

// What makes a cluster unhealthy, and what only stays behind for a while.
func TestVerdictOfTheClusterStatus(t *testing.T) {
	t.Parallel()
	done := func() *client.WorkStatus {
		return &client.WorkStatus{
			Counted: true, Pairs: 4, Settled: 4, Trees: client.TreeStatus{Known: 2, Owned: 2},
		}
	}
	for _, c := range []struct {
		name              string
		change            func(*client.MemberStatus)
		healthy, caughtUp bool
		says              string // one of the reasons, or of what stays behind
	}{
		{"nothing", func(*client.MemberStatus) {}, true, true, ""},
		{"hints", func(m *client.MemberStatus) { m.Work.Hints = 3 }, true, false, "3 hints"},
		{"markers", func(m *client.MemberStatus) { m.Work.Markers = 1 }, true, false, "1 markers"},
		{
			"hints not counted", func(m *client.MemberStatus) { m.Work.Counted = false }, true, false,
			"hints not counted yet",
		},
		{"pairs", func(m *client.MemberStatus) { m.Work.Settled = 1 }, true, false, "3 pairs to compare"},
		{"trees", func(m *client.MemberStatus) { m.Work.Trees.Known = 1 }, true, false, "1 trees to build"},
		{
			"a pause", func(m *client.MemberStatus) { m.Work.PausedMS = 60000 }, true, false,
			"repair paused for 1m0s",
		},
		{
			"damaged records", func(m *client.MemberStatus) { m.Work.Unreadable = 2 }, true, false,
			"2 unreadable records",
		},
		{
			"a purge round", func(m *client.MemberStatus) { m.Work.Purge.Open = 1 }, true, false,
			"1 partitions in a purge round",
		},
		{
			"damaged hints", func(m *client.MemberStatus) { m.Work.DamagedHints = 1 }, false, false,
			"n2: 1 hints that can not be read",
		},
		{
			"a missed purge round", func(m *client.MemberStatus) { m.Work.Purge.Missed = 5 }, false, false,
			"n2: 5 partitions not ready: the store missed a purge round",
		},
		{
			"a full disk", func(m *client.MemberStatus) { m.Work.Full = true }, false, false,
			"n2: writes refused: the disk is nearly full",
		},
		{
			"down", func(m *client.MemberStatus) { m.State, m.Reason, m.Work = "down", "gone", nil }, false,
			false, "n2: down: gone",
		},
		{
			"not ready", func(m *client.MemberStatus) {
				m.Ready, m.Reason = false, "being filled"
				m.Work.Refill = &client.RefillStatus{Phase: "copy", Pairs: 9, Copied: 2}
			}, false, false, "n2: not ready: being filled",
		},
		{"not confirmed", func(m *client.MemberStatus) { m.Confirmed = false }, false, false, "n2: not confirmed"},
		{
			"an answer without work", func(m *client.MemberStatus) { m.Work = nil }, false, false,
			"n2: does not say what stays behind",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first := client.MemberStatus{State: "up", Ready: true, Confirmed: true, Work: done()}
			second := first
			first.Name, second.Name, second.Work = "n1", "n2", done()
			c.change(&second)
			s := statusOutput{Members: []memberOutput{newMemberOutput(&first), newMemberOutput(&second)}}
			s.judge()
			if s.Healthy != c.healthy || s.CaughtUp != c.caughtUp {
				t.Errorf("healthy %v, caught up %v, for %q", s.Healthy, s.CaughtUp, s.Reasons)
			}
			told := s.Reasons
			if w := s.Members[1].Work; w != nil {
				told = append(told, w.behind()...)
			}
			if c.says != "" && !slices.Contains(told, c.says) {
				t.Errorf("told %q, want %q", strings.Join(told, "; "), c.says)
			}
			if c.healthy != (len(s.Reasons) == 0) {
				t.Errorf("reasons %q", s.Reasons)
			}
		})
	}
}
