// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strings"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

const (
	// MaxBuckets bounds the buckets, "default" included: what one message can list.
	MaxBuckets = 1024
	// MaxTTL bounds a bucket's time to live, in milliseconds: 100 years.
	MaxTTL = 100 * 365 * 24 * 3600 * 1000
)

// bucket returns the place of the bucket of that name, or where it would be.
func (s *State) bucket(name string) (int, bool) {
	return slices.BinarySearchFunc(s.buckets, name,
		func(b kv.Bucket, name string) int { return strings.Compare(b.Name, name) })
}

// bucketByID is the answer with the bucket of that number as it is now.
func (s *State) bucketByID(id kv.BucketID) Result {
	for _, b := range s.buckets {
		if b.ID == id {
			return Result{Code: CodeOK, Bucket: &b}
		}
	}
	return refuse(CodeNotFound, "the bucket with the id %d was deleted since", id)
}

func (c BucketCreate) apply(s *State, at locks.At) Result {
	return s.once(c.Request, c, at.Index)
}

func (c BucketCreate) carryOut(s *State, _ uint64) (Result, uint64) {
	if !s.Formed() {
		return refuse(CodeNotReady, "there is no ring yet, and so no buckets"), 0
	}
	b := c.withDefaults(s.replicas)
	if r := checkBucket(b, s.replicas); r.Code != CodeOK {
		return r, 0
	}
	i, taken := s.bucket(b.Name)
	switch {
	case taken:
		return refuse(CodeExists, "there is a bucket %s", quote(b.Name)), 0
	case len(s.buckets) >= MaxBuckets:
		return refuse(CodeExhausted, "there are %d buckets, the most that can be; delete some",
			MaxBuckets), 0
	}
	id, err := kv.MakeBucketID(s.generation, s.issued.bucket+1)
	if err != nil {
		return refuse(CodeExhausted, "no bucket id is left: %v", err), 0
	}
	s.issued.bucket++
	b.ID = id
	s.buckets = slices.Insert(s.buckets, i, b)
	s.touchRing()
	return Result{Code: CodeOK, Bucket: &b}, uint64(id)
}

func (c BucketCreate) again(s *State, id uint64) Result { return s.bucketByID(kv.BucketID(id)) }

// withDefaults fills in what was not said from the bucket "default".
func (c BucketCreate) withDefaults(replicas int) kv.Bucket {
	b, def := c.Bucket, kv.BuiltinBucket(replicas)
	b.ID = 0
	if b.N == 0 {
		b.N = def.N
	}
	b.R, b.W, b.PR, b.PW = b.R.Or(def.R), b.W.Or(def.W), b.PR.Or(def.PR), b.PW.Or(def.PW)
	return b
}

// checkBucket says why a bucket can not be.
func checkBucket(b kv.Bucket, replicas int) Result {
	switch {
	case !validBucket(b.Name):
		return refuse(CodeInvalid, "the name %s must be 1 to %d bytes of UTF-8 without control "+
			"characters", quote(b.Name), MaxBucketName)
	case int(b.N) != replicas:
		return refuse(CodeNotSupported, "n=%d: buckets with n other than the cluster's %d "+
			"replicas are not supported yet", b.N, replicas)
	case b.Fenced:
		return refuse(CodeNotSupported, "fenced buckets are not supported yet")
	case b.TTL < 0 || b.TTL > MaxTTL:
		return refuse(CodeInvalid, "a time to live of %d ms must be 0 (for ever) to %d", b.TTL,
			MaxTTL)
	}
	levels := [...]struct {
		name  string
		level kv.Level
		least int
	}{{"r", b.R, 1}, {"w", b.W, 1}, {"pr", b.PR, 0}, {"pw", b.PW, 0}}
	for _, l := range levels {
		n, err := l.level.Resolve(replicas)
		if err != nil || n < l.least {
			return refuse(CodeInvalid, "%s=%v must be %d to %d, or one, quorum, all", l.name,
				l.level, l.least, replicas)
		}
	}
	return Result{Code: CodeOK}
}

// named finds the bucket that a command names.
func (s *State) named(name string, id kv.BucketID) (int, Result) {
	if !s.Formed() {
		return 0, refuse(CodeNotReady, "there is no ring yet, and so no buckets")
	}
	i, found := s.bucket(name)
	if !found || id != 0 && s.buckets[i].ID != id {
		return 0, refuse(CodeNotFound, "there is no bucket %s", quote(name))
	}
	return i, Result{Code: CodeOK}
}

func (c BucketUpdate) apply(s *State, at locks.At) Result {
	return s.once(c.Request, c, at.Index)
}

func (c BucketUpdate) carryOut(s *State, _ uint64) (Result, uint64) {
	i, r := s.named(c.Name, c.ID)
	if r.Code != CodeOK {
		return r, 0
	}
	b := s.buckets[i]
	b.R, b.W, b.PR, b.PW = c.R.Or(b.R), c.W.Or(b.W), c.PR.Or(b.PR), c.PW.Or(b.PW)
	if c.SetSloppy {
		b.Sloppy = c.Sloppy
	}
	if c.SetTTL {
		b.TTL = c.TTL
	}
	if r := checkBucket(b, s.replicas); r.Code != CodeOK {
		return r, 0
	}
	if s.buckets[i] != b {
		s.buckets[i] = b
		s.touchRing()
	}
	return Result{Code: CodeOK, Bucket: &b}, uint64(b.ID)
}

func (c BucketUpdate) again(s *State, id uint64) Result { return s.bucketByID(kv.BucketID(id)) }

func (c BucketDelete) apply(s *State, at locks.At) Result {
	return s.once(c.Request, c, at.Index)
}

func (c BucketDelete) carryOut(s *State, _ uint64) (Result, uint64) {
	i, r := s.named(c.Name, c.ID)
	if r.Code != CodeOK {
		return r, 0
	}
	id := s.buckets[i].ID
	if id == kv.DefaultBucket {
		return refuse(CodeRefused, "the built-in bucket %q can not be deleted",
			kv.DefaultBucketName), 0
	}
	s.buckets = slices.Delete(s.buckets, i, i+1)
	s.touchRing()
	return Result{Code: CodeOK}, uint64(id)
}

func (c BucketDelete) again(*State, uint64) Result { return Result{Code: CodeOK} }
