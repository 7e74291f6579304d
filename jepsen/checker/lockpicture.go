// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Picture is a page that shows the search for an order of one lock's operations.
type Picture struct {
	Lock string
	Page []byte // HTML, with a script and a style of its own
}

const (
	// pictureTime bounds the search for one picture. Most take milliseconds.
	pictureTime = 5 * time.Second
	// maxPictureEvents bounds the events that a picture tells of.
	maxPictureEvents = 200
)

// Pictures draws the locks that are named, and then those that were used most, at most so
// many. Locks that are too large for the search have no picture.
func Pictures(h *history.History, cfg Config, names []string, most int) ([]Picture, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	x, fault := newIndex(h, cfg)
	if fault != "" || !x.has(lockNames) {
		return nil, nil
	}
	r, why := newLockRun(x, &Result{})
	if why != "" {
		return nil, nil // Check says why
	}
	next := r.nextGrants()
	var all []Picture
	for _, key := range x.locksFirst(names) {
		if len(all) >= most {
			break
		}
		if len(key.ops) > cfg.MaxLockOps {
			continue
		}
		s := r.searchOf(key, next)
		if len(s.steps) == 0 || len(s.steps) > cfg.MaxLockOps || len(s.unsure) > cfg.MaxLockUnsure {
			continue
		}
		page, err := s.picture(x.h.Events)
		if err != nil {
			return nil, fmt.Errorf("checker: picture of lock %s: %w", key.name, err)
		}
		all = append(all, Picture{Lock: key.name, Page: page})
	}
	return all, nil
}

// locksFirst are the locks that are named in their order, then the others by how much they
// were used.
func (x *index) locksFirst(names []string) []*keyOps {
	var locks []*keyOps
	for i := range x.keys {
		if x.keys[i].family == lockNames {
			locks = append(locks, &x.keys[i])
		}
	}
	rank := func(k *keyOps) int {
		if at := slices.Index(names, k.name); at >= 0 {
			return at
		}
		return len(names)
	}
	slices.SortStableFunc(locks, func(a, b *keyOps) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), -cmp.Compare(len(a.ops), len(b.ops)))
	})
	return locks
}

// picture searches once more, and has what was found drawn.
func (s *lockSearch) picture(events []history.Event) ([]byte, error) {
	model := lockModel()
	model.DescribeOperation = func(input, _ any) string { return input.(*lockStep).tell() }
	model.DescribeState = func(state any) string { return state.(lockState).tell() }
	model.DescribeOperationMetadata = func(metadata any) string {
		return plain(s.run.x.h.Ops[metadata.(int32)].String())
	}
	steps := slices.Clone(s.steps)
	rows(steps)
	_, info := porcupine.CheckOperationsVerbose(model, steps, pictureTime)
	info.AddAnnotations(s.annotations(events))
	var page bytes.Buffer
	if err := porcupine.Visualize(model, info, &page); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}

// rows gives each step the first row that is free when it begins: for the search each has
// one of its own, which would be a very high picture.
func rows(steps []porcupine.Operation) {
	slices.SortStableFunc(steps, func(a, b porcupine.Operation) int {
		return cmp.Compare(a.Call, b.Call)
	})
	var free []int64 // until when each row is taken
	for i := range steps {
		o := &steps[i]
		at := slices.IndexFunc(free, func(until int64) bool { return until < o.Call })
		if at < 0 {
			at = len(free)
			free = append(free, 0)
		}
		free[at], o.ClientId = o.Return, at
	}
}

// annotations are what was done to the cluster while the lock was used.
func (s *lockSearch) annotations(events []history.Event) []porcupine.Annotation {
	first, last := int64(never), int64(0)
	for i := range s.steps {
		o := &s.steps[i]
		first, last = min(first, o.Call), max(last, o.Call)
		if o.Return != never {
			last = max(last, o.Return)
		}
	}
	var all []porcupine.Annotation
	for i := range events {
		e := &events[i]
		if e.Until < first || e.From > last || len(all) == maxPictureEvents {
			continue
		}
		all = append(all, porcupine.Annotation{
			Tag: "nemesis", Start: e.From, End: e.Until, Description: plain(e.Name),
			Details: plain(strings.Join(e.Nodes, ", ") + " " + e.Detail),
		})
	}
	return all
}

// tell is the step in a few letters, as there is little room: "#3:17" was granted to holder
// 3 with fence 17, "-#3" ended that, "x#3" cancelled it, "!#3" took it by force, and "†#3"
// is the end of the session.
func (t *lockStep) tell() string {
	who := fmt.Sprintf("#%d", t.holder)
	switch {
	case t.kind == history.SessionClose:
		return "†" + who
	case t.kind == history.Release:
		return "-" + who + t.ended()
	case t.kind == history.Cancel:
		return "x" + who + t.ended()
	case t.kind != history.Acquire:
		return "!" + who + t.ended()
	case t.refused:
		return who + ":held"
	case !t.sure:
		return who + ":?"
	case t.shared:
		return fmt.Sprintf("%s:%ds", who, t.fence)
	default:
		return fmt.Sprintf("%s:%d", who, t.fence)
	}
}

func (t *lockStep) ended() string {
	if t.sure {
		return ""
	}
	return "?"
}

// tell is the state in a few words.
func (s lockState) tell() string {
	if s.held == "" {
		return fmt.Sprintf("free, fence %d", s.fence)
	}
	who := ""
	for at := 0; at < len(s.held); at += 2 {
		who += fmt.Sprintf(" #%d", int(s.held[at])<<8|int(s.held[at+1]))
	}
	if s.shared {
		return fmt.Sprintf("shared by%s, fence %d", who, s.fence)
	}
	return fmt.Sprintf("held by%s, fence %d", who, s.fence)
}

// plain leaves out what the page of the picture would take for markup: it does not escape
// all texts itself.
func plain(s string) string {
	return strings.NewReplacer("<", "‹", ">", "›", "&", "+", `"`, "'").Replace(s)
}
