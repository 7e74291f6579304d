// SPDX-License-Identifier: Apache-2.0

package wire

// MemberState is what the answering node takes a member for. A client may meet states
// of later releases.
type MemberState string

// The states of a member.
const (
	// StateUp: the member can be reached.
	StateUp MemberState = "up"
	// StateDown: the member can not be reached, or the answering node thinks so.
	StateDown MemberState = "down"
	// StateStopped: the member was stopped on purpose (a `dyno dev` cluster).
	StateStopped MemberState = "stopped"
)

// MemberStatus is a member, and how it is.
type MemberStatus struct {
	Member
	State MemberState
	// Ready says that its store holds what it should, as far as it knows.
	Ready bool
	// Confirmed says that its start was confirmed, so that it counts for pr and pw.
	Confirmed   bool
	Reason      string // why it is not up, ready or confirmed; empty where it is
	RingVersion uint64 // that it has; 0 where it is not known
	// Work is what stays behind at the answering node; nil of all others, and where it serves
	// no keys yet.
	Work *WorkStatus
}

// ClusterStatusResult answers cluster.status.
type ClusterStatusResult struct {
	Cluster     string // 32 hexadecimal digits
	Node        string // the name of the node that answers
	RingVersion uint64 // that it has
	Members     []MemberStatus
}

// AppendClusterStatusResult appends the result of cluster.status.
func AppendClusterStatusResult(dst []byte, a *ClusterStatusResult) []byte {
	w := beginMap(dst)
	w.str(fieldCluster, a.Cluster)
	w.str(fieldNode, a.Node)
	w.uint(fieldRingVersion, a.RingVersion)
	w.array(fieldMembers, len(a.Members))
	for i := range a.Members {
		s := &a.Members[i]
		m := beginMap(w.dst)
		m.member(&s.Member)
		m.str(fieldState, string(s.State))
		m.bool(fieldReady, s.Ready)
		m.bool(fieldConfirmed, s.Confirmed)
		m.strIfSet(fieldReason, s.Reason)
		m.uint(fieldRingVersion, s.RingVersion)
		if s.Work != nil {
			m.work(s.Work)
		}
		w.dst = m.end()
	}
	return w.end()
}

// DecodeClusterStatusResult reads the result of cluster.status.
func DecodeClusterStatusResult(result []byte, into *ClusterStatusResult) error {
	*into = ClusterStatusResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldCluster:
			into.Cluster = r.text(MaxName)
		case fieldNode:
			into.Node = r.text(MaxName)
		case fieldRingVersion:
			into.RingVersion = r.uint64()
		case fieldMembers:
			into.Members = elements(&r, r.array(minMember), (*reader).memberStatus)
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) memberStatus() (s MemberStatus) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldState:
			s.State = MemberState(r.text(MaxName))
		case fieldReady:
			s.Ready = r.bool()
		case fieldConfirmed:
			s.Confirmed = r.bool()
		case fieldReason:
			s.Reason = r.text(len(r.b))
		case fieldRingVersion:
			s.RingVersion = r.uint64()
		case fieldWork:
			s.Work = r.work()
		default:
			if !s.Member.read(r, f) {
				r.skip()
			}
		}
	}
	return s
}
