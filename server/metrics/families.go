// SPDX-License-Identifier: Apache-2.0

package metrics

import "slices"

// Kind is what sort of metric a family has.
type Kind string

const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Family is one metric with all its labels.
type Family struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string
}

// Families are all metrics of a node, by area.
func Families() []Family {
	return slices.Concat(nodeFamilies(), requestFamilies(), storageFamilies(), hintFamilies(),
		repairFamilies(), purgeFamilies(), groupFamilies())
}

func nodeFamilies() []Family {
	return []Family{
		{"dyno_build_info", Gauge, []string{"version", "go"}, "1; the labels say what runs"},
		{"dyno_node_ready", Gauge, nil, "1 while the node serves, as /readyz says"},
		{"dyno_ring_version", Gauge, nil, "Version of the newest ring that the node knows"},
		{"dyno_ring_members", Gauge, nil, "Members of that ring"},
		{"dyno_ring_owned_share_ratio", Gauge, nil, "Share of all slots that are this node's"},
		{
			"dyno_gossip_members", Gauge, []string{"state"},
			"Members as gossip sees them: alive, down, unknown",
		},
		{"dyno_gossip_conflicts", Gauge, nil, "Names or numbers that two live processes claim"},
		{
			"dyno_gossip_refused_total", Counter, []string{"reason"},
			"Claims that gossip did not take: foreign cluster, unreadable, no room",
		},
		{"dyno_gossip_rejoins_total", Counter, nil, "Times that gossip met others again after a cut"},
	}
}

func requestFamilies() []Family {
	return []Family{
		{
			"dyno_client_requests_total", Counter, []string{"op", "code"},
			"Requests of clients that were answered; the code of a success is OK",
		},
		{
			"dyno_client_request_duration_seconds", Histogram, []string{"op", "code"},
			"From a request's arrival to its answer",
		},
		{
			"dyno_client_quorum_failures_total", Counter, []string{"op"},
			"Requests that failed with QUORUM or UNAVAILABLE",
		},
		{"dyno_client_siblings", Histogram, nil, "Versions that a read of one key showed"},
		{"dyno_client_context_bytes", Histogram, nil, "Size of the context that such a read gave"},
		{
			"dyno_server_inflight_requests", Gauge, []string{"gate"},
			"Requests under way: of keys, of decisions of the group, of waits, of renewals, of peers",
		},
		{
			"dyno_server_rejected_requests_total", Counter, []string{"gate"},
			"Requests that were refused with OVERLOADED for want of room",
		},
		{"dyno_rpc_connections", Gauge, []string{"port"}, "Open connections of clients and of peers"},
		{"dyno_rpc_open_calls", Gauge, []string{"port"}, "Calls without an answer"},
		{"dyno_rpc_held_bytes", Gauge, []string{"port"}, "Half-read messages and unread answers"},
		{
			"dyno_rpc_refused_connections_total", Counter, []string{"port", "reason"},
			"Connections closed for what the other side sent, or did not",
		},
		{
			"dyno_coordinator_replica_duration_seconds", Histogram, []string{"peer", "kind"},
			"From a read or store that is sent to a member to its answer",
		},
		{
			"dyno_coordinator_read_repairs_total", Counter, nil,
			"Copies that reads sent to owners that were behind",
		},
		{
			"dyno_coordinator_read_repairs_skipped_total", Counter, nil,
			"Read repairs left out, since too many were under way",
		},
	}
}

func storageFamilies() []Family {
	return []Family{
		{
			"dyno_storage_commit_duration_seconds", Histogram, nil,
			"Time of a commit, its fsync included",
		},
		{"dyno_storage_commit_operations", Histogram, nil, "Operations that shared a commit"},
		{"dyno_storage_waiting_operations", Gauge, nil, "Operations in front of the shards"},
		{"dyno_storage_cache_bytes", Gauge, nil, "Size of the version cache"},
		{"dyno_storage_size_bytes", Gauge, nil, "Size of the store on disk, about"},
		{"dyno_storage_free_bytes", Gauge, nil, "Free space of the disk"},
		{"dyno_storage_full", Gauge, nil, "1 while writes are refused, since the disk is nearly full"},
		{
			"dyno_replica_unreadable_records_total", Counter, nil,
			"Times that a damaged record was met",
		},
		{
			"dyno_replica_rollbacks_total", Counter, nil,
			"Own dots from the future that others sent: this store may be an older copy",
		},
		{"dyno_replica_collisions_total", Counter, nil, "Dots that came with two contents"},
		{
			"dyno_replica_stamps_ahead_total", Counter, nil,
			"Stamps from far ahead: some clock is wrong",
		},
		{"dyno_replica_keys", Gauge, nil, "Keys that the node holds as an owner, counted in its trees"},
		{"dyno_replica_tombstones", Gauge, nil, "Deleted keys of which a mark is left"},
	}
}

func hintFamilies() []Family {
	return []Family{
		{
			"dyno_hints_pending", Gauge, []string{"peer", "kind"},
			"What is kept for a member: hints, and markers (notes without a value)",
		},
		{"dyno_hints_pending_bytes", Gauge, []string{"peer"}, "Size of what is kept for a member"},
		{
			"dyno_hints_oldest_age_seconds", Gauge, []string{"peer"},
			"Age of the oldest hint for a member",
		},
		{"dyno_hints_damaged", Gauge, []string{"peer"}, "Hints for a member that can not be read"},
		{"dyno_hints_limit_bytes", Gauge, nil, "Above this size hints are refused"},
		{
			"dyno_hints_stored_total", Counter, []string{"peer", "kind"},
			"Hints and markers stored for a member",
		},
		{
			"dyno_hints_delivered_total", Counter, []string{"peer"},
			"Hints and markers that a member has taken, durably",
		},
		{"dyno_hints_sent_bytes_total", Counter, nil, "Bytes sent to deliver hints"},
		{"dyno_hints_refused_total", Counter, nil, "Hints that there was no room for"},
		{
			"dyno_hints_markers_dropped_total", Counter, nil,
			"Markers that there was no room for, or no use: left to anti-entropy",
		},
	}
}

func repairFamilies() []Family {
	return []Family{
		{
			"dyno_antientropy_exchanges_total", Counter, []string{"result"},
			"Comparisons of a partition with another owner, by how they ended",
		},
		{"dyno_antientropy_repaired_keys_total", Counter, nil, "Keys that comparisons brought together"},
		{"dyno_antientropy_repaired_bytes_total", Counter, nil, "Bytes of objects that this moved"},
		{
			"dyno_antientropy_left_keys_total", Counter, nil,
			"Times that a key was left as it was, since it could not be read or stored",
		},
		{"dyno_antientropy_pairs", Gauge, []string{"peer"}, "Partitions shared with another owner"},
		{
			"dyno_antientropy_last_success_timestamp_seconds", Gauge, []string{"peer"},
			"When a pair with this owner was last found to agree, or made to",
		},
		{
			"dyno_antientropy_oldest_success_timestamp_seconds", Gauge, []string{"peer"},
			"The same of the pair that has waited longest; absent until each of them was",
		},
		{"dyno_antientropy_unsettled_pairs", Gauge, nil, "Pairs not yet compared in the newest round"},
		{"dyno_antientropy_pause_seconds", Gauge, nil, "For how long comparisons are still paused"},
		{"dyno_antientropy_trees_owned", Gauge, nil, "Partitions that the node owns"},
		{"dyno_antientropy_trees_known", Gauge, nil, "Partitions whose tree is known"},
		{"dyno_antientropy_tree_builds_total", Counter, nil, "Trees built from what is stored"},
		{
			"dyno_antientropy_tree_mismatches_total", Counter, nil,
			"Builds that came to another tree than the one that was kept: a fault of dyno's",
		},
		{"dyno_scrub_rounds_total", Counter, nil, "Times that all records were read again"},
		{"dyno_scrub_keys_total", Counter, nil, "Records that the scrub has read"},
		{"dyno_scrub_read_bytes_total", Counter, nil, "Bytes that the scrub has read"},
		{"dyno_scrub_progress_ratio", Gauge, nil, "How much of the present round is done"},
		{"dyno_scrub_damaged_records", Gauge, nil, "Records known to be damaged and not mended"},
		{"dyno_scrub_mended_records_total", Counter, nil, "Damaged records mended from other owners"},
		{
			"dyno_background_rate_bytes_per_second", Gauge, nil,
			"What all background work may move at present; it gives way to clients",
		},
		{"dyno_refill_active", Gauge, nil, "1 while a store that was lost is filled"},
		{"dyno_refill_stored_keys_total", Counter, nil, "Keys that a refill has stored"},
		{"dyno_refill_missing_sources", Gauge, nil, "Owners that are still to be copied"},
		{
			"dyno_refill_orphaned_partitions", Gauge, nil,
			"Partitions of which no intact owner is left to be copied",
		},
		{
			"dyno_refill_progress_ratio", Gauge, nil,
			"How much of what other owners have is copied",
		},
	}
}

func purgeFamilies() []Family {
	return []Family{
		{
			"dyno_purge_rounds_total", Counter, []string{"result"},
			"Rounds that this node led: done, held-up (a member is down or keeps hints), failed",
		},
		{"dyno_purge_keys_total", Counter, nil, "Tombstones that rounds took away here"},
		{"dyno_purge_epoch", Gauge, nil, "Highest purge epoch that the node has adopted"},
		{"dyno_purge_open_partitions", Gauge, nil, "Partitions with an adopted round not yet drained"},
		{
			"dyno_purge_missed_partitions", Gauge, nil,
			"Partitions not ready, since the store missed a round: it is an older copy of itself",
		},
		{"dyno_expiry_swept_keys_total", Counter, nil, "Expired keys that this node has deleted"},
	}
}

func groupFamilies() []Family {
	return []Family{
		{"dyno_raft_role", Gauge, []string{"role"}, "1 for what the node is: voter, learner or client"},
		{"dyno_raft_is_leader", Gauge, nil, "1 at the leader"},
		{"dyno_raft_has_leader", Gauge, nil, "1 while the node knows of a leader"},
		{"dyno_raft_term", Gauge, nil, "The term; each election raises it"},
		{"dyno_raft_applied_index", Gauge, nil, "Newest entry that the node has applied"},
		{"dyno_raft_committed_index", Gauge, nil, "Newest entry that the node knows as committed"},
		{"dyno_lock_locks", Gauge, nil, "Locks that are held, in the whole cluster"},
		{"dyno_lock_sessions", Gauge, nil, "Sessions, in the whole cluster"},
		{"dyno_lock_waiters", Gauge, nil, "Waiters for locks, in the whole cluster"},
		{"dyno_lock_parked_waits", Gauge, nil, "Waits for locks that are open at this node"},
	}
}
