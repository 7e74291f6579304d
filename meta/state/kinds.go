// SPDX-License-Identifier: Apache-2.0

package state

import "fmt"

// kind numbers the commands in their encoding. A number never changes its meaning.
type kind uint8

const (
	kindRegisterMember kind = 1 + iota
	kindOpenStore
	kindAssignRaft
	kindDropRaft
	kindFormRing
	kindProposePlan
	kindCommitPlan
	kindMoveStep
	kindAbortPlan
	kindNewInstance
	kindPurgeEpoch
	kindBucketCreate
	kindBucketUpdate
	kindBucketDelete
	kindGenerationBump
	kindVersionSet
	kindSessionOpen
	kindSessionClose
	kindSessionExpire
	kindAcquire
	kindCancel
	kindCancelWait
	kindRelease
	kindSetValue
	kindForceRelease
	kindEndDelay
	kindPurgeCommit
	kindAcceptLoss
	kindFinishRefill

	// lastKind is the highest that this release knows.
	lastKind = kindFinishRefill
)

// commandVersion is that of every command in this release. A command that gets another
// meaning gets another version, and the old one stays.
const commandVersion = 1

func (RegisterMember) kind() kind { return kindRegisterMember }
func (OpenStore) kind() kind      { return kindOpenStore }
func (AssignRaft) kind() kind     { return kindAssignRaft }
func (DropRaft) kind() kind       { return kindDropRaft }
func (FormRing) kind() kind       { return kindFormRing }
func (ProposePlan) kind() kind    { return kindProposePlan }
func (CommitPlan) kind() kind     { return kindCommitPlan }
func (MoveStep) kind() kind       { return kindMoveStep }
func (AbortPlan) kind() kind      { return kindAbortPlan }
func (NewInstance) kind() kind    { return kindNewInstance }
func (PurgeEpoch) kind() kind     { return kindPurgeEpoch }
func (PurgeCommit) kind() kind    { return kindPurgeCommit }
func (BucketCreate) kind() kind   { return kindBucketCreate }
func (BucketUpdate) kind() kind   { return kindBucketUpdate }
func (BucketDelete) kind() kind   { return kindBucketDelete }
func (GenerationBump) kind() kind { return kindGenerationBump }
func (VersionSet) kind() kind     { return kindVersionSet }
func (SessionOpen) kind() kind    { return kindSessionOpen }
func (SessionClose) kind() kind   { return kindSessionClose }
func (SessionExpire) kind() kind  { return kindSessionExpire }
func (Acquire) kind() kind        { return kindAcquire }
func (Cancel) kind() kind         { return kindCancel }
func (CancelWait) kind() kind     { return kindCancelWait }
func (Release) kind() kind        { return kindRelease }
func (SetValue) kind() kind       { return kindSetValue }
func (ForceRelease) kind() kind   { return kindForceRelease }
func (EndDelay) kind() kind       { return kindEndDelay }
func (AcceptLoss) kind() kind     { return kindAcceptLoss }
func (FinishRefill) kind() kind   { return kindFinishRefill }

// AppendCommand appends a command as members forward it and entries carry it.
func AppendCommand(dst []byte, c Command) []byte {
	return c.append(append(dst, byte(c.kind()), commandVersion))
}

// decode reads the fields of a command of a known kind.
func decode(k kind, r *reader) Command {
	switch k {
	case kindRegisterMember:
		return readRegisterMember(r)
	case kindOpenStore:
		return readOpenStore(r)
	case kindAssignRaft:
		return AssignRaft{Node: r.node(), For: r.open(), Previous: RaftID(r.uint())}
	case kindDropRaft:
		return DropRaft{Raft: RaftID(r.uint())}
	case kindFormRing:
		return FormRing{}
	case kindGenerationBump:
		return GenerationBump{Previous: r.generation()}
	case kindVersionSet:
		return VersionSet{Version: r.uint32()}
	case kindNewInstance:
		return readNewInstance(r)
	case kindAcceptLoss:
		return readAcceptLoss(r)
	case kindFinishRefill:
		return readFinishRefill(r)
	case kindProposePlan, kindCommitPlan, kindMoveStep, kindAbortPlan, kindPurgeEpoch,
		kindPurgeCommit:
		return decodeRing(k, r)
	case kindBucketCreate, kindBucketUpdate, kindBucketDelete:
		return decodeBucket(k, r)
	default:
		return decodeLock(k, r)
	}
}

// IsAcquire reports whether an encoded command is an Acquire, so far as its first byte
// tells.
func IsAcquire(b []byte) bool { return len(b) > 0 && kind(b[0]) == kindAcquire }

// DecodeCommand reads one command. It shares no bytes with b. The error wraps ErrUnknown
// or ErrDamaged; a leader proposes nothing that it can not decode.
func DecodeCommand(b []byte) (Command, error) {
	r := reader{b: b}
	k, version := kind(r.byte()), r.byte()
	if r.err != nil {
		return nil, r.finish("command")
	}
	if k < kindRegisterMember || k > lastKind || version != commandVersion {
		return nil, fmt.Errorf("%w: command %d of version %d", ErrUnknown, k, version)
	}
	c := decode(k, &r)
	if err := r.finish("command"); err != nil {
		return nil, fmt.Errorf("%w (command %d)", err, k)
	}
	if v, ok := c.(VersionSet); ok && v.Version > Version {
		return nil, fmt.Errorf("%w: the group goes over to version %d of its commands, this "+
			"release understands %d", ErrUnknown, v.Version, Version)
	}
	return c, nil
}
