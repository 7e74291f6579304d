// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func create(n int, name string) BucketCreate {
	return BucketCreate{Request: requestOf(n), Bucket: kv.Bucket{Name: name, Sloppy: true}}
}

func TestABucketIsMadeOnceForItsRequest(t *testing.T) {
	l := formed(t)
	b := l.ok(create(1, "orders")).Bucket
	want := kv.Bucket{
		ID: 2, Name: "orders", N: 3, R: kv.LevelQuorum, W: kv.LevelQuorum, PR: kv.LevelZero,
		PW: kv.LevelZero, Sloppy: true,
	}
	if *b != want {
		t.Fatalf("made was %+v", b)
	}
	if again := l.unchanged(create(1, "orders")); again.Code != CodeOK || *again.Bucket != want {
		t.Errorf("again %v %+v", again.Code, again.Bucket)
	}
	l.want(CodeExists, create(2, "orders"))
	l.ok(BucketDelete{Request: requestOf(3), Name: "orders"})
	for n := 1; n <= 2; n++ {
		if r := l.unchanged(create(n, "orders")); r.Code == CodeOK {
			t.Errorf("late, request %d made the bucket again", n)
		}
	}
	if next := l.ok(create(4, "orders")).Bucket; next.ID != 3 {
		t.Errorf("the next bucket of that name has the id %d", next.ID)
	}
	l.want(CodeInvalid, BucketCreate{Bucket: kv.Bucket{Name: "b"}})
	if r := l.unchanged(BucketDelete{Request: requestOf(1), Name: "orders"}); r.Code != CodeInvalid {
		t.Errorf("another command with a request id that was used was answered %v", r.Code)
	}
}

func TestABucketThatCanNotBeIsRefused(t *testing.T) {
	l := formed(t)
	for detail, change := range map[string]func(*kv.Bucket){
		"n=2: buckets with n other": func(b *kv.Bucket) { b.N = 2 },
		"fenced buckets are not":    func(b *kv.Bucket) { b.Fenced = true },
		"r=0 must be 1 to 3":        func(b *kv.Bucket) { b.R = kv.LevelZero },
		"w=4 must be 1 to 3":        func(b *kv.Bucket) { b.W = 4 },
		"pr=4 must be 0 to 3":       func(b *kv.Bucket) { b.PR = 4 },
		"pw=17 must be 0 to 3":      func(b *kv.Bucket) { b.PW = 17 },
		"live of -1 ms":             func(b *kv.Bucket) { b.TTL = -1 },
		"ms must be 0 (for ever)":   func(b *kv.Bucket) { b.TTL = MaxTTL + 1 },
		`the name "" must be`:       func(b *kv.Bucket) { b.Name = "" },
		`the name "a\nb" must be`:   func(b *kv.Bucket) { b.Name = "a\nb" },
		`the name "\xff" must be`:   func(b *kv.Bucket) { b.Name = "\xff" },
		`..." must be 1 to 255`:     func(b *kv.Bucket) { b.Name = strings.Repeat("b", 256) },
	} {
		c := create(1, "b")
		change(&c.Bucket)
		r := l.unchanged(c)
		if r.Code != CodeInvalid && r.Code != CodeNotSupported ||
			!strings.Contains(r.Detail, detail) {
			t.Errorf("%+v was answered %v %q", c.Bucket, r.Code, r.Detail)
		}
	}
	whole := create(2, strings.Repeat("b", 255))
	whole.Bucket = kv.Bucket{
		Name: whole.Bucket.Name, N: 3, R: 3, W: kv.LevelAll, PR: 3, PW: 1, LWW: true, TTL: MaxTTL,
	}
	l.ok(whole)
}

func TestPropertiesOfABucketChangeOneByOne(t *testing.T) {
	l := formed(t)
	b := *l.ok(create(1, "orders")).Bucket
	steps := []struct {
		name   string
		c      BucketUpdate
		change func()
	}{
		{"a level", BucketUpdate{R: kv.LevelAll}, func() { b.R = kv.LevelAll }},
		{"the other levels", BucketUpdate{W: 1, PR: 2, PW: 3}, func() { b.W, b.PR, b.PW = 1, 2, 3 }},
		{"sloppy", BucketUpdate{SetSloppy: true}, func() { b.Sloppy = false }},
		{"ttl", BucketUpdate{SetTTL: true, TTL: 7}, func() { b.TTL = 7 }},
		{"by id", BucketUpdate{ID: b.ID, SetTTL: true}, func() { b.TTL = 0 }},
	}
	for i, step := range steps {
		step.c.Request, step.c.Name = requestOf(10+i), "orders"
		step.change()
		before := l.View().Version
		if got := l.ok(step.c).Bucket; *got != b {
			t.Errorf("%s: the bucket is %+v", step.name, got)
		}
		if got, _ := l.View().Bucket("orders"); got != b || l.View().Version != before+1 {
			t.Errorf("%s: the view of version %d has %+v", step.name, l.View().Version, got)
		}
	}
	for i, step := range steps { // late copies of all
		step.c.Request, step.c.Name = requestOf(10+i), "orders"
		if r := l.unchanged(step.c); r.Code != CodeOK || *r.Bucket != b {
			t.Errorf("%s, late: %v %+v", step.name, r.Code, r.Bucket)
		}
	}
	if l.entry(BucketUpdate{Request: requestOf(20), Name: "orders", R: kv.LevelAll}).View {
		t.Error("an update to what is made a new view")
	}
	l.want(CodeInvalid, BucketUpdate{Request: requestOf(21), Name: "orders", W: 4})
	l.want(CodeNotFound, BucketUpdate{Request: requestOf(21), Name: "other"})
	l.want(CodeNotFound, BucketUpdate{Request: requestOf(22), Name: "orders", ID: 99})
	l.ok(BucketUpdate{Request: requestOf(23), Name: kv.DefaultBucketName, R: 1})
}

func TestADeletedBucketIsGoneForEver(t *testing.T) {
	l := formed(t)
	b := l.ok(create(1, "orders")).Bucket
	if l.View().Deleted(b.ID) || l.View().Deleted(b.ID+1) {
		t.Error("a bucket that is there, or may come, is deleted")
	}
	c := BucketDelete{Request: requestOf(2), Name: "orders"}
	l.ok(c)
	if !l.View().Deleted(b.ID) || l.View().Deleted(b.ID+1) {
		t.Error("the deleted one is not the one that is deleted")
	}
	if _, found := l.View().BucketByID(b.ID); found {
		t.Error("a deleted bucket is there")
	}
	next := l.ok(create(3, "orders")).Bucket
	if r := l.unchanged(c); r.Code != CodeOK {
		t.Errorf("late, the deletion was answered %v", r.Code)
	}
	if got, found := l.View().BucketByID(next.ID); !found || got != *next {
		t.Errorf("the new bucket of that name is %+v", got)
	}
	l.want(CodeNotFound, BucketDelete{Request: requestOf(4), Name: "orders", ID: b.ID})
	l.want(CodeNotFound, BucketDelete{Request: requestOf(5), Name: "other"})
	l.want(CodeRefused, BucketDelete{Request: requestOf(6), Name: kv.DefaultBucketName})

	// What the entries that a recovery gave up may have issued is deleted too.
	l.ok(GenerationBump{Previous: 0})
	v := l.View()
	first := l.ok(create(7, "new")).Bucket.ID
	if !v.Deleted(next.ID+1) || v.Deleted(next.ID) || v.Deleted(first) || first>>27 != 1 {
		t.Errorf("after the recovery, with the next id %#x, the wrong ids are deleted", first)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	l := formed(t)
	for n := 1; n < MaxBuckets; n++ {
		l.ok(create(n, fmt.Sprintf("b-%d", n)))
	}
	l.want(CodeExhausted, create(MaxBuckets, "one more"))
	for i, b := range l.View().Buckets[1:] {
		if l.View().Buckets[i].Name >= b.Name {
			t.Fatalf("%q stands before %q", l.View().Buckets[i].Name, b.Name)
		}
	}
}

func TestTheLastAnswersAreRememberedAndNoMore(t *testing.T) {
	l := formed(t)
	answered := func(n int) bool {
		_, ok := l.answers.find(requestOf(n))
		return ok
	}
	for n := range MaxAnswers + 1 {
		l.want(CodeNotFound, BucketDelete{Request: requestOf(n), Name: "none"})
	}
	if answered(0) || !answered(1) || !answered(MaxAnswers) || len(l.answers.list) != MaxAnswers {
		t.Errorf("%d answers are remembered, the oldest: %v", len(l.answers.list), answered(0))
	}
	sameState(t, "the restored state", l.State, restored(t, l.State))
}
