// SPDX-License-Identifier: Apache-2.0

package locks

// Visit hands over what [Table.Export] would, each session and then each lock, without
// making lists of them: a snapshot is encoded while the table stands still, so it must not
// take long. What the functions are given is theirs during the call only.
func (t *Table) Visit(session func(*Session), lock func(*Lock)) {
	var s Session
	for from := range t.byName.all() {
		s = Session{
			ID: from.id, Name: from.name, Owner: from.owner, TTL: from.ttl,
			Created: from.created, DoneThrough: from.done.through, Done: from.done.above,
		}
		session(&s)
	}
	var l Lock
	for from := range t.locks.all() {
		l = Lock{Name: from.name, Kind: from.kind, Holders: l.Holders[:0], Queue: l.Queue[:0]}
		from.fill(&l)
		lock(&l)
	}
}

// Ended returns the sessions that ended, as Export does.
func (t *Table) Ended() []SessionID { return t.ended.list() }
