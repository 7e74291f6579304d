// SPDX-License-Identifier: Apache-2.0

package wire

// Methods of the client port. docs/protocol.md is their reference.
const (
	MethodHello         = "hello"
	MethodPing          = "ping"
	MethodGet           = "kv.get"
	MethodPut           = "kv.put"
	MethodDelete        = "kv.delete"
	MethodGetMany       = "kv.get_many"
	MethodKeyScan       = "kv.scan"
	MethodClusterInfo   = "cluster.info"
	MethodClusterStatus = "cluster.status"
	MethodBucketGet     = "bucket.get"
	MethodBucketList    = "bucket.list"
	// The methods below ask the metadata group. Their nodes list FeatureLocks and
	// FeatureBuckets in hello.
	MethodBucketCreate     = "bucket.create"
	MethodBucketUpdate     = "bucket.update"
	MethodBucketDelete     = "bucket.delete"
	MethodSessionOpen      = "session.open"
	MethodSessionKeepAlive = "session.keepalive"
	MethodSessionClose     = "session.close"
	MethodSessionList      = "session.list"
	MethodLockAcquire      = "lock.acquire"
	MethodLockRelease      = "lock.release"
	MethodLockCancel       = "lock.cancel"
	MethodLockGet          = "lock.get"
	MethodLockList         = "lock.list"
	MethodLockForceRelease = "lock.force_release"
	MethodClusterJoin      = "cluster.join"
	MethodMetaStatus       = "meta.status"
	MethodMetaMembers      = "meta.members"
	// MethodStateSnapshot is of the client port; members have a method of this name too,
	// MethodMetaSnapshot, on theirs.
	MethodStateSnapshot = "meta.snapshot"
	// The methods below are about the answering node's comparisons with the other owners of
	// its partitions. Its node lists FeatureRepair in hello.
	MethodRepairStatus = "repair.status"
	MethodRepairRun    = "repair.run"
	MethodRepairWait   = "repair.wait"
	MethodRepairPause  = "repair.pause"
	MethodRepairResume = "repair.resume"
	// MethodRingPartitions tells what the answering node counts in the trees by which it
	// compares.
	MethodRingPartitions = "ring.partitions"
	// MethodRepairAcceptLoss is about the refill of the answering node's store.
	MethodRepairAcceptLoss = "repair.accept_loss"
	// The methods below are about what all nodes keep for members that missed it. Their nodes
	// list FeatureHints in hello.
	MethodHintsStatus = "hints.status"
	MethodHintsWait   = "hints.wait"
	// MethodNodeStop and MethodNodeStart exist only in a cluster of `dyno dev`, whose
	// nodes list FeatureDev in hello.
	MethodNodeStop  = "dev.node_stop"
	MethodNodeStart = "dev.node_start"
)

// Features that hello lists.
const (
	// FeatureDev: the nodes of a `dyno dev` cluster.
	FeatureDev = "dev"
	// FeatureLocks: session.* and lock.*.
	FeatureLocks = "locks"
	// FeatureBuckets: bucket.create, bucket.update, bucket.delete.
	FeatureBuckets = "buckets"
	// FeatureRepair: repair.*, ring.partitions.
	FeatureRepair = "repair"
	// FeatureHints: hints.*.
	FeatureHints = "hints"
)

// ProtoVersion is the version of the client protocol that this release speaks.
const ProtoVersion = 1

// EmptyRequest is a request that has no options of its own: ping, cluster.info,
// cluster.status, bucket.list, meta.status, meta.members.
type EmptyRequest struct{ Common }

// AppendEmptyRequest appends the params of a request without options of its own.
func AppendEmptyRequest(dst []byte, q *EmptyRequest) []byte {
	w := beginParams(dst)
	w.common(q.Common)
	return w.end()
}

// DecodeEmptyRequest reads the params of a request without options of its own.
func DecodeEmptyRequest(params []byte, into *EmptyRequest) error {
	*into = EmptyRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		q.common(f, &into.Common)
	}
	return q.finish()
}

// AppendEmptyResult appends the result of a request that answers nothing but that it
// was done: an empty map.
func AppendEmptyResult(dst []byte) []byte { return append(dst, 0x80) }

// DecodeEmptyResult reads a result that says nothing, and ignores what a later release
// may say in it.
func DecodeEmptyResult(result []byte) error {
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		r.skip()
	}
	return r.finish()
}

// NameRequest is a request about something that has a name: bucket.get, dev.node_stop,
// dev.node_start.
type NameRequest struct {
	Common
	Name string
}

// AppendNameRequest appends the params of a request about a name.
func AppendNameRequest(dst []byte, q *NameRequest) []byte {
	w := beginParams(dst)
	w.str(fieldName, q.Name)
	w.common(q.Common)
	return w.end()
}

// DecodeNameRequest reads the params of a request about a name.
func DecodeNameRequest(params []byte, into *NameRequest) error {
	*into = NameRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldName:
			if into.Name = q.text(MaxName); into.Name == "" {
				q.fail(invalid(q.field, "must not be empty"))
			}
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	return q.finish()
}

func defaults() Common { return Common{TimeoutMS: DefaultTimeoutMS} }
