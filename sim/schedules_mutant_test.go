// SPDX-License-Identifier: Apache-2.0

//go:build mutant

package sim

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/dyno-kv/dyno/internal/mutant"
)

// rulesTaken says which mutants take a schedule's rule away.
func rulesTaken() map[string][]mutant.Name {
	return map[string][]mutant.Name{
		"a blind put after a blind put": {
			mutant.PutContextWhole, mutant.PutOverwrites, mutant.PutIgnoresContext,
		},
		"a retry through another coordinator":     {mutant.NoCollapse},
		"a retry after its value was overwritten": {mutant.RequestsForgotten},
		"a mint that only others kept":            {mutant.KeepIncarnation},
		"a mint that only others kept, after a clean stop": {
			mutant.CleanMarkStays, mutant.KeepIncarnation,
		},
		"a send that comes late":        {mutant.CopyReplaces, mutant.LastWriterWins},
		"a read repair that comes late": {mutant.CopyReplaces},
		"a delete of nothing":           {mutant.BlindDelete},
		"a delete that is tried again":  {mutant.RetriedDeleteCovers},
		"a loss of all power right after an answer": {
			mutant.AckBeforeSync, mutant.AckOneShort,
		},
		"a retry while its first try is under way": {mutant.KeepNotAwaited},
		"a disk that fails":                        {mutant.CommitErrorIgnored},
		"a write that too few have":                {mutant.UnknownIsNone},
		"an answer that comes late":                {mutant.LateReplyTaken},
		"a read where the own copy lags": {
			mutant.ReadOneShort, mutant.DigestsNotCompared, mutant.ContextCoversUnseen,
			mutant.RepairWrongContext, mutant.ReadUnites,
		},
		"an atomic read of what one owner has": {mutant.NoWriteBack},
		"a wiped disk beside a copy that lags": {
			mutant.RefusedStoreServes, mutant.NotReadyIsNotFound,
		},
		"a damaged record": {mutant.UnreadableIsAbsent},

		"a leader that dies under a session": {mutant.LeasesGoOn},
		"a snapshot that is restored":        {mutant.FenceFromMemory},
		"a leader on the minority side": {
			mutant.LeaderUnconfirmed, mutant.RenewalUnconfirmed,
		},
		"a store that is being filled":                 {mutant.FillingServes},
		"two stores that are lost one after the other": {mutant.FillingCounts},
		"a wipe while an acknowledgement is under way": {mutant.CopyBeforeFences},

		"a voter that is restored":              {mutant.LostSeatVotes},
		"a loss of power right behind an entry": {mutant.VoteBeforeSync},
	}
}

// TestSchedulesAreRedWithoutTheirRule: a schedule that is green either way shows nothing.
func TestSchedulesAreRedWithoutTheirRule(t *testing.T) {
	for _, one := range slices.Concat(schedules(), ofTheGroup(), ofRefills()) {
		if len(rulesTaken()[one.name]) == 0 {
			t.Errorf("%s: no mutant takes its rule away: %s", one.name, one.rule)
		}
		for _, name := range rulesTaken()[one.name] {
			t.Run(one.name+"/"+string(name), func(t *testing.T) {
				defer mutant.Activate(name)()
				synctest.Test(t, func(t *testing.T) {
					wrong := one.perform(t)
					for _, text := range wrong {
						t.Log(text)
					}
					if len(wrong) == 0 {
						t.Errorf("green without its rule: %s", one.rule)
					}
				})
			})
		}
	}
}

// TestEveryMutantHasASchedule but those that need more than one takes.
func TestEveryMutantHasASchedule(t *testing.T) {
	without := map[mutant.Name]string{
		mutant.FetchedNotChecked: "needs a cache that drops the key in the moment between",
		mutant.NoRejoin:          "concerns gossip alone: peers that are connected are used",
	}
	has := make(map[mutant.Name]bool)
	for _, one := range slices.Concat(schedules(), ofTheGroup(), ofRefills()) {
		for _, name := range rulesTaken()[one.name] {
			has[name] = true
		}
	}
	for _, m := range mutant.All() {
		if why := without[m.Name]; has[m.Name] == (why != "") {
			t.Errorf("%s: has a schedule: %t; why it should have none: %q", m.Name, has[m.Name], why)
		}
	}
}
