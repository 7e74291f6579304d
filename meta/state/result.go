// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"strings"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

// Code is what became of a command. Only CodeOK may have changed anything, unless the
// command's comment says otherwise.
type Code uint8

const (
	// CodeOK: done, or done before. Of lock and session commands it says that they were
	// applied; Result.Lock says what came of them.
	CodeOK Code = 1 + iota
	// CodeInvalid: the command could never be carried out, whatever the state.
	CodeInvalid
	// CodeExists: the name is taken.
	CodeExists
	// CodeNotFound: what the command names does not exist, or not any more.
	CodeNotFound
	// CodeNotReady: not before the cluster is formed, or not yet.
	CodeNotReady
	// CodeNotSupported: a later version may do it.
	CodeNotSupported
	// CodeRefused: the state does not allow it.
	CodeRefused
	// CodeExhausted: an identifier has no further value, or a list of the state is full.
	CodeExhausted
)

func (c Code) String() string {
	switch c {
	case CodeOK:
		return "ok"
	case CodeInvalid:
		return "invalid"
	case CodeExists:
		return "exists"
	case CodeNotFound:
		return "not-found"
	case CodeNotReady:
		return "not-ready"
	case CodeNotSupported:
		return "not-supported"
	case CodeRefused:
		return "refused"
	case CodeExhausted:
		return "exhausted"
	default:
		return fmt.Sprintf("code(%d)", uint8(c))
	}
}

// Result is what one command answers. Its pointers are its own.
type Result struct {
	Code Code
	// Detail is a sentence for people wherever Code is not CodeOK.
	Detail string
	// Lock is the answer of a lock or session command, zero for all others.
	Lock locks.Result
	// Member is the member that the command was about, as it is after it: of
	// RegisterMember, OpenStore, AssignRaft, DropRaft, NewInstance, AcceptLoss and
	// FinishRefill. Whether its store was ever accepted is Member.Open.
	Member *Member
	// Verdict is that of OpenStore.
	Verdict kv.Verdict
	// Bucket is the bucket after BucketCreate and BucketUpdate.
	Bucket *kv.Bucket
	// Plan is the number of the plan of ProposePlan.
	Plan uint64
	// Epoch is what PurgeEpoch has issued, or where it is refused, and of PurgeCommit, the
	// partition's committed one.
	Epoch kv.PurgeEpoch
	// Generation is the group's after GenerationBump.
	Generation kv.Generation
}

// Applied is what an entry did.
type Applied struct {
	// Token says who proposed the entry; zero where it has no commands.
	Token Token
	// Results has one for each command, in order.
	Results []Result
	// Events are what lock and session commands caused beside their results, in order.
	Events []locks.Event
	// View: State.View has changed.
	View bool
}

// maxDetail bounds a detail in bytes. Some are remembered with the answers, and a plan can
// break many rules.
const maxDetail = 1 << 10

// refuse is a result that says why not.
func refuse(code Code, why string, args ...any) Result {
	detail := fmt.Sprintf(why, args...)
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail-len(cutOff)], "") + cutOff
	}
	return Result{Code: code, Detail: detail}
}

const cutOff = "..."
