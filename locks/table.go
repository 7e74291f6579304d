// SPDX-License-Identifier: Apache-2.0

package locks

import "github.com/dyno-kv/dyno/kv"

// Table is the state of the lock service. It is not safe for use by several goroutines
// while one of them applies a command; reading changes nothing.
type Table struct {
	fence  kv.Fence // of the last grant, ever
	events []Event
}

// New returns an empty table.
func New() *Table { return &Table{} }

func (t *Table) OpenSession(at At, c SessionOpen) Result      { return Result{} }
func (t *Table) CloseSession(at At, c SessionClose) Result    { return Result{} }
func (t *Table) ExpireSessions(at At, c SessionExpire) Result { return Result{} }
func (t *Table) Acquire(at At, c Acquire) Result              { return Result{} }
func (t *Table) Cancel(at At, c Cancel) Result                { return Result{} }
func (t *Table) CancelWait(at At, c CancelWait) Result        { return Result{} }
func (t *Table) Release(at At, c Release) Result              { return Result{} }
func (t *Table) SetValue(at At, c SetValue) Result            { return Result{} }
func (t *Table) ForceRelease(at At, c ForceRelease) Result    { return Result{} }
func (t *Table) EndDelay(at At, c EndDelay) Result            { return Result{} }

// TakeEvents returns what the commands since the last call caused, in order, and forgets
// it. The caller owns the slice. Whoever applies commands takes the events.
func (t *Table) TakeEvents() []Event { return nil }

// Data is a table as plain data, in one order for equal tables: what a snapshot holds.
type Data struct {
	// Fence is the last that was issued.
	Fence kv.Fence
	// Sessions are in order of their names, then of their ids.
	Sessions []Session
	// Locks are in order of their names.
	Locks []Lock
	// Ended are the sessions that ended, the oldest first; at most MaxEnded.
	Ended []SessionID
}

// Export returns the table as data. It shares values with the table, which nobody changes.
func (t *Table) Export() Data { return Data{} }

// Import returns the table that was exported as d, and takes over d's slices. The error
// says what in d no table could have exported.
func Import(d Data) (*Table, error) { return nil, nil }

// Session returns a session.
func (t *Table) Session(id SessionID) (Session, bool) { return Session{}, false }

// SessionKey is a session's place in the order of [Table.Sessions].
type SessionKey struct {
	Name string
	ID   SessionID
}

// Sessions returns up to limit sessions whose names begin with prefix, in order of name
// and id, those after the given one; the zero key begins at the first.
func (t *Table) Sessions(prefix string, after SessionKey, limit int) []Session { return nil }

// Lock returns a lock; false where it is free.
func (t *Table) Lock(name string) (Lock, bool) { return Lock{}, false }

// Locks returns up to limit locks whose names begin with prefix and come after the given
// name, in order of their names.
func (t *Table) Locks(prefix, after string, limit int) []Lock { return nil }

// Look tells what an Acquire with this number would be answered, if its name and kind
// are those that the number has; false where the number is new.
func (t *Table) Look(session SessionID, holder uint64) (Result, bool) { return Result{}, false }

// Counts are the numbers of things in a table.
type Counts struct {
	Sessions, Locks, Holders, Waiters int
	// Size is what counts towards MaxSize.
	Size int
}

// Counts counts in constant time.
func (t *Table) Counts() Counts { return Counts{} }

// Fence is the last fence that was issued.
func (t *Table) Fence() kv.Fence { return t.fence }

// Leases returns all sessions with their TTLs, and Waiting all waiters with their
// waits: what a new leader arms its deadlines with.
func (t *Table) Leases() []Lease { return nil }

// Waiting returns all waiters.
func (t *Table) Waiting() []Wait { return nil }
