// SPDX-License-Identifier: Apache-2.0

package wire

func lockDecoders() []decoder {
	return []decoder{
		pair("session open", AppendSessionOpenRequest, DecodeSessionOpenRequest),
		pair("session open result", AppendSessionOpenResult, DecodeSessionOpenResult),
		pair("session", AppendSessionRequest, DecodeSessionRequest),
		pair("prefix", AppendPrefixRequest, DecodePrefixRequest),
		pair("sessions", AppendSessionListResult, DecodeSessionListResult),
		pair("acquire", AppendLockAcquireRequest, DecodeLockAcquireRequest),
		pair("acquire result", AppendLockAcquireResult, DecodeLockAcquireResult),
		pair("release", AppendLockReleaseRequest, DecodeLockReleaseRequest),
		pair("release result", AppendLockReleaseResult, DecodeLockReleaseResult),
		pair("cancel", AppendLockCancelRequest, DecodeLockCancelRequest),
		pair("lock get", AppendLockGetRequest, DecodeLockGetRequest),
		pair("lock", AppendLockGetResult, DecodeLockGetResult),
		pair("locks", AppendLockListResult, DecodeLockListResult),
		pair("force release", AppendLockForceReleaseRequest, DecodeLockForceReleaseRequest),
		pair("bucket create", AppendBucketCreateRequest, DecodeBucketCreateRequest),
		pair("bucket update", AppendBucketUpdateRequest, DecodeBucketUpdateRequest),
		pair("bucket delete", AppendBucketDeleteRequest, DecodeBucketDeleteRequest),
		pair("join", AppendJoinRequest, DecodeJoinRequest),
		pair("join result", AppendJoinResult, DecodeJoinResult),
		pair("meta status", AppendMetaStatusResult, DecodeMetaStatusResult),
		pair("meta members", AppendMetaMembersResult, DecodeMetaMembersResult),
		pair("state snapshot", AppendStateSnapshotRequest, DecodeStateSnapshotRequest),
		pair("state snapshot result", AppendStateSnapshotResult, DecodeStateSnapshotResult),
	}
}

func metaDecoders() []decoder {
	return []decoder{
		pair("meta hello", AppendMetaHello, DecodeMetaHello),
		pair("step", AppendMetaStepRequest, DecodeMetaStepRequest),
		pair("step reply", AppendMetaStepReply, DecodeMetaStepReply),
		pair("snapshot", AppendMetaSnapshotRequest, DecodeMetaSnapshotRequest),
		pair("snapshot reply", AppendMetaSnapshotReply, DecodeMetaSnapshotReply),
		pair("propose", AppendMetaProposeRequest, DecodeMetaProposeRequest),
		pair("propose reply", AppendMetaProposeReply, DecodeMetaProposeReply),
		pair("read_index", AppendMetaReadIndexRequest, DecodeMetaReadIndexRequest),
		pair("read_index reply", AppendMetaReadIndexReply, DecodeMetaReadIndexReply),
		pair("renew", AppendMetaRenewRequest, DecodeMetaRenewRequest),
		pair("renew reply", AppendMetaRenewReply, DecodeMetaRenewReply),
		pair("tail", AppendMetaTailRequest, DecodeMetaTailRequest),
		pair("tail reply", AppendMetaTailReply, DecodeMetaTailReply),
		pair("view", AppendMetaViewRequest, DecodeMetaViewRequest),
		pair("view reply", AppendMetaViewReply, DecodeMetaViewReply),
	}
}

// metaBombs are heads of messages of the group up to the count of a list in them.
func metaBombs(count []byte) [][]byte {
	outcome := appendOutcome(nil, &MetaOutcome{Code: MetaOK})
	lists := [][]byte{
		{0x96, 0, 0, 0}, // the openings of a hello
		{0x93, 0},       // the messages of a step
		{0x92, 0},       // the commands of a proposal, and the sessions of a renewal
		append(append([]byte{0x93}, outcome...), 0),    // the results of a proposal
		append([]byte{0x93}, outcome...),               // what was renewed
		append(append([]byte{0x95}, outcome...), 0, 0), // the entries of a tail
	}
	for i, head := range lists {
		lists[i] = append(append(head, 0xdd), count...)
	}
	return lists
}
