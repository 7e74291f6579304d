// SPDX-License-Identifier: Apache-2.0

package state

import "github.com/dyno-kv/dyno/kv"

// MaxAnswers is how many answers to commands with request ids are remembered, the oldest
// forgotten first: commands of this kind are given by people and by rounds of minutes, and
// a forwarded one is under way for seconds.
const MaxAnswers = 4096

// answer is what a command with a request id was answered.
type answer struct {
	request kv.RequestID
	kind    kind
	code    Code
	detail  string
	// id is what the command made or changed: a bucket, a plan, an epoch.
	id uint64
}

// answers are the remembered ones.
type answers struct {
	list      []answer // oldest first
	byRequest map[kv.RequestID]answer
}

func (a *answers) find(request kv.RequestID) (answer, bool) {
	found, ok := a.byRequest[request]
	return found, ok
}

func (a *answers) add(n answer) {
	if a.byRequest == nil {
		a.byRequest = make(map[kv.RequestID]answer)
	}
	if len(a.list) == MaxAnswers {
		delete(a.byRequest, a.list[0].request)
		a.list = a.list[1:]
	}
	a.list = append(a.list, n)
	a.byRequest[n.request] = n
}

// remembered is the kind of command that is carried out once for each request id.
type remembered interface {
	kind() kind
	// carryOut does it, and returns the number of what it made or changed.
	carryOut(s *State, index uint64) (Result, uint64)
	// again is the answer to a repetition of one that was done.
	again(s *State, id uint64) Result
}

// once carries a command out, or answers it as before. What could not be done for want of
// a cluster, or never can, is not remembered: it changes nothing when it comes late.
func (s *State) once(request kv.RequestID, c remembered, index uint64) Result {
	if request.IsZero() {
		return refuse(CodeInvalid, "the command has no request id; draw one for each")
	}
	if before, ok := s.answers.find(request); ok {
		switch {
		case before.kind != c.kind():
			return refuse(CodeInvalid, "the request id %x is another command's; draw a new one",
				request[:])
		case before.code != CodeOK:
			return Result{Code: before.code, Detail: before.detail}
		}
		return c.again(s, before.id)
	}
	result, id := c.carryOut(s, index)
	switch result.Code {
	case CodeInvalid, CodeNotReady, CodeNotSupported:
	default:
		s.answers.add(answer{request, c.kind(), result.Code, result.Detail, id})
	}
	return result
}
