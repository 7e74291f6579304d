// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/dyno-kv/dyno/antientropy/exchange"
)

// storage tells of the store.
func (s *scrape) storage() {
	commits, stats := s.from.Store.Commits(), s.from.Store.Stats()
	s.tell("dyno_storage_commit_duration_seconds", &commits.Times, s.times())
	s.tell("dyno_storage_commit_operations", &commits.Operations, s.few())
	s.set("dyno_storage_waiting_operations", float64(stats.Waiting))
	s.set("dyno_storage_cache_bytes", float64(stats.CacheBytes))
	s.set("dyno_storage_size_bytes", float64(stats.Bytes))
	s.set("dyno_storage_full", flag(stats.DiskFull))
	if free, known := s.from.Store.Free(); known {
		s.set("dyno_storage_free_bytes", float64(free))
	}
}

// replica tells of what this node holds, and of alarms.
func (s *scrape) replica(d *Data) {
	r := d.Replica
	s.set("dyno_replica_unreadable_records_total", float64(r.Unreadable()))
	s.set("dyno_replica_rollbacks_total", float64(r.Rollbacks()))
	s.set("dyno_replica_collisions_total", float64(r.Collisions()))
	s.set("dyno_replica_stamps_ahead_total", float64(r.Ahead()))
	keys, tombstones, known := uint64(0), uint64(0), true
	for _, p := range r.Owned() {
		c, err := r.Contents(p)
		known = known && err == nil // else a sum would seem to have lost keys
		keys, tombstones = keys+c.Keys, tombstones+c.Tombstones
	}
	if known {
		s.set("dyno_replica_keys", float64(keys))
		s.set("dyno_replica_tombstones", float64(tombstones))
	}
}

// hints tells of what is kept for others.
func (s *scrape) hints(d *Data) {
	report, now := d.Handoff.Report(), s.from.Now().UnixMilli()
	for _, b := range report.Backlog {
		peer := s.nameOf(b.Node)
		s.set("dyno_hints_pending", float64(b.Hints), peer, "hint")
		s.set("dyno_hints_pending", float64(b.Markers), peer, "marker")
		s.set("dyno_hints_pending_bytes", float64(b.Bytes), peer)
		s.set("dyno_hints_damaged", float64(b.Damaged), peer)
		if b.Oldest > 0 {
			age := time.Duration(max(0, now-b.Oldest)) * time.Millisecond
			s.set("dyno_hints_oldest_age_seconds", age.Seconds(), peer)
		}
	}
	for node, stored := range d.Replica.HintsStored() {
		s.set("dyno_hints_stored_total", float64(stored.Hints), s.nameOf(node), "hint")
		s.set("dyno_hints_stored_total", float64(stored.Markers), s.nameOf(node), "marker")
	}
	for node, n := range d.Handoff.DeliveredTo() {
		s.set("dyno_hints_delivered_total", float64(n), s.nameOf(node))
	}
	s.set("dyno_hints_limit_bytes", float64(report.Limit))
	s.set("dyno_hints_sent_bytes_total", float64(report.Sent))
	s.set("dyno_hints_refused_total", float64(report.Refused))
	s.set("dyno_hints_markers_dropped_total", float64(report.Unkept))
}

// exchange tells whether copies agree.
func (s *scrape) exchange(d *Data) {
	counts, status := d.Exchange.Counters(), d.Exchange.Status(0)
	for o := exchange.InSync; o <= exchange.Stopped; o++ {
		s.set("dyno_antientropy_exchanges_total", float64(counts.Exchanges(o)), o.String())
	}
	s.set("dyno_antientropy_repaired_keys_total", float64(counts.Repaired()))
	s.set("dyno_antientropy_repaired_bytes_total", float64(counts.Bytes()))
	s.set("dyno_antientropy_left_keys_total", float64(counts.Left()))
	s.set("dyno_antientropy_unsettled_pairs", float64(status.Pairs-status.Settled))
	s.set("dyno_antientropy_pause_seconds", status.Paused.Seconds())
	for _, p := range d.Exchange.Peers() {
		peer := s.nameOf(p.Node)
		s.set("dyno_antientropy_pairs", float64(p.Pairs), peer)
		if !p.Newest.IsZero() {
			s.set("dyno_antientropy_last_success_timestamp_seconds", seconds(p.Newest), peer)
		}
		if !p.Oldest.IsZero() {
			s.set("dyno_antientropy_oldest_success_timestamp_seconds", seconds(p.Oldest), peer)
		}
	}
	trees := d.Replica.TreeStats()
	s.set("dyno_antientropy_trees_owned", float64(trees.Owned))
	s.set("dyno_antientropy_trees_known", float64(trees.Known))
	s.set("dyno_antientropy_tree_builds_total", float64(trees.Builds))
	s.set("dyno_antientropy_tree_mismatches_total", float64(trees.Mismatches))
	scrub := status.Scrub
	s.set("dyno_scrub_rounds_total", float64(scrub.Rounds))
	s.set("dyno_scrub_keys_total", float64(scrub.Keys))
	s.set("dyno_scrub_read_bytes_total", float64(scrub.Bytes))
	s.set("dyno_scrub_damaged_records", float64(scrub.Damaged))
	s.set("dyno_scrub_mended_records_total", float64(scrub.Mended))
	s.set("dyno_scrub_progress_ratio", float64(scrub.Done)/float64(max(1, scrub.Partitions)))
	s.set("dyno_background_rate_bytes_per_second", float64(s.from.Budget.Rate()))
}

// seconds is a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// refill tells how far a store that was lost is filled.
func (s *scrape) refill(d *Data) {
	status := d.Refill()
	s.set("dyno_refill_active", flag(status != nil))
	if status == nil {
		return
	}
	s.set("dyno_refill_stored_keys_total", float64(status.Keys))
	s.set("dyno_refill_missing_sources", float64(len(status.Missing)))
	s.set("dyno_refill_orphaned_partitions", float64(len(status.Lost)))
	s.set("dyno_refill_progress_ratio", float64(status.Copied)/float64(max(1, status.Pairs)))
}

// purges tells of tombstones that go.
func (s *scrape) purges(d *Data) {
	stats := d.Replica.PurgeStats()
	s.set("dyno_purge_keys_total", float64(stats.Purged))
	s.set("dyno_purge_epoch", float64(stats.Epoch))
	s.set("dyno_purge_open_partitions", float64(stats.Open))
	s.set("dyno_purge_missed_partitions", float64(stats.Missed))
	if d.Purger == nil {
		return
	}
	led := d.Purger.Counts()
	s.set("dyno_purge_rounds_total", float64(led.Done), "done")
	s.set("dyno_purge_rounds_total", float64(led.HeldUp), "held-up")
	s.set("dyno_purge_rounds_total", float64(led.Failed), "failed")
	s.set("dyno_expiry_swept_keys_total", float64(led.Expired))
}
