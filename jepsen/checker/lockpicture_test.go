// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func TestPicturesAreOfTheLocksNamedAndThenOfThoseUsedMost(t *testing.T) {
	h, err := GenerateLocks(rand.New(rand.NewPCG(3, 4)), DefaultLockShape())
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	all, err := Pictures(h, cfg, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 4 {
		t.Fatalf("%d pictures: too few to say anything", len(all))
	}
	last := all[len(all)-1].Lock
	some, err := Pictures(h, cfg, []string{last, "no such lock"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(some) != 3 || some[0].Lock != last || some[1].Lock != all[0].Lock {
		t.Errorf("of %d: %q first, then %q; must be 3, %q and %q",
			len(some), some[0].Lock, some[1].Lock, last, all[0].Lock)
	}
}

func TestPictureTellsOfFaultsAndHasNoMarkupOfTheHistory(t *testing.T) {
	h, err := GenerateLocks(rand.New(rand.NewPCG(3, 4)), DefaultLockShape())
	if err != nil {
		t.Fatal(err)
	}
	const hostile = `<img src=x onerror="alert(1)"></script>`
	for i := range h.Ops {
		if h.Ops[i].Kind.Locks() && !h.Ops[i].Kind.Sessions() {
			h.Ops[i].Key += hostile
		}
	}
	end := h.Ops[len(h.Ops)-1].Completed
	h.Events = []history.Event{{Name: "power" + hostile, Until: end, Detail: hostile}}
	all, err := Pictures(h, DefaultConfig(), nil, 2)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d pictures, error %v", len(all), err)
	}
	page := string(all[0].Page)
	if !strings.Contains(page, `"Tag":"nemesis"`) || !strings.Contains(page, "power‹img") {
		t.Error("the picture does not tell of the fault")
	}
	if !strings.Contains(page, "\"Description\":\"#1:") || strings.Contains(page, "onerror=\\\"") ||
		strings.Contains(page, "\\u003cimg") || strings.Count(page, "</script>") != 1 {
		t.Error("the picture has markup of the history, or nothing of it")
	}
}

func TestRowsOfAPictureDoNotOverlap(t *testing.T) {
	steps := []porcupine.Operation{
		{Call: 5, Return: 9}, {Call: 0, Return: 4}, {Call: 2, Return: 6}, {Call: 6, Return: 7},
	}
	rows(steps)
	for i, want := range []int{0, 1, 0, 2} { // 0-4, 2-6, 5-9, 6-7: 6 is when the second row ends
		if steps[i].ClientId != want {
			t.Errorf("step from %d: row %d, must be %d", steps[i].Call, steps[i].ClientId, want)
		}
	}
}
