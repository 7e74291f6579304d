// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"unicode/utf8"
)

// Details of refusals that several commands share.
const (
	noSession = "no session: open one, and name it by its 16 bytes"
	tableFull = "the lock table is full; release locks, or close sessions"
)

func invalid(detail string) Result    { return Result{Code: CodeInvalid, Detail: detail} }
func overloaded(detail string) Result { return Result{Code: CodeOverloaded, Detail: detail} }

func expired(id SessionID) Result {
	return Result{Code: CodeSessionExpired, Detail: fmt.Sprintf(
		"session %v is not open (any more); open another", id)}
}

func lost(number uint64) Result {
	return Result{Code: CodeLockLost, Detail: fmt.Sprintf(
		"holder %d holds nothing (any more); take a new number", number)}
}

func otherLock(h *hold) Result {
	return invalid(fmt.Sprintf("holder %d holds or waits for lock %q; each attempt takes a new number",
		h.number, h.lock.name))
}

// The problem methods say what is wrong with a command, whatever the table holds; ""
// where nothing is.

func (c SessionOpen) problem() string {
	switch {
	case c.ID.IsZero():
		return noSession
	case len(c.Name) > MaxName || !utf8.ValidString(c.Name):
		return fmt.Sprintf("the session's name must be UTF-8 of at most %d bytes", MaxName)
	case c.TTL < MinTTL || c.TTL > MaxTTL:
		return fmt.Sprintf("ttl %v, must be %v to %v", c.TTL, MinTTL, MaxTTL)
	}
	return ""
}

func nameProblem(name string) string {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Sprintf("the lock's name must be UTF-8 of 1 to %d bytes", MaxName)
	}
	return ""
}

func valueProblem(value []byte) string {
	if len(value) > MaxValue {
		return fmt.Sprintf("a value of %d bytes, the limit is %d", len(value), MaxValue)
	}
	return ""
}

func holderProblem(id SessionID, number uint64, name string) string {
	switch {
	case id.IsZero():
		return noSession
	case number < 1 || number > MaxHolder:
		return fmt.Sprintf("holder %d, must be 1 to %d", number, uint64(MaxHolder))
	}
	return nameProblem(name)
}

func (c Acquire) problem() string {
	if detail := holderProblem(c.Session, c.Holder, c.Name); detail != "" {
		return detail
	}
	if detail := valueProblem(c.Value); detail != "" {
		return detail
	}
	switch {
	case c.DoneThrough >= c.Holder:
		return fmt.Sprintf("holder %d is among those finished through %d; take a higher one",
			c.Holder, c.DoneThrough)
	case c.Wait < 0 || c.Wait > MaxWait:
		return fmt.Sprintf("wait %v, must be 0 to %v", c.Wait, MaxWait)
	case c.Delay != 0:
		return "a lock delay is not supported yet; leave it out"
	}
	return c.kindProblem()
}

func (c Acquire) kindProblem() string {
	switch {
	case c.Kind == KindSemaphore || c.Kind == KindElection:
		return fmt.Sprintf("kind %v is not supported yet; use exclusive or shared", c.Kind)
	case c.Kind != KindExclusive && c.Kind != KindShared:
		return fmt.Sprintf("%v is unknown; use exclusive or shared", c.Kind)
	case c.Limit != 0 || c.Permits > 1:
		return fmt.Sprintf("kind %v has no limit, and permits are 1; leave them out", c.Kind)
	}
	return ""
}

func (c SetValue) problem() string {
	if detail := holderProblem(c.Session, c.Holder, c.Name); detail != "" {
		return detail
	}
	if c.Revision == 0 {
		return "revisions begin at 1"
	}
	return valueProblem(c.Value)
}

func (c ForceRelease) problem() string {
	switch {
	case c.Fence == 0:
		return "the fence is missing: name the grant that is to end"
	case len(c.By) > MaxName || len(c.Reason) > MaxName:
		return fmt.Sprintf("who and why may have %d bytes each", MaxName)
	}
	return nameProblem(c.Name)
}
