// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func TestTheBucketsOfAPartitionAreFoundInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		r := start(t, testConfig(), e)
		const partition = 3
		write := func(partition uint16, bucket kv.BucketID, key string) {
			done := make(chan Result, 1)
			err := r.Do(&Op{
				Partition: partition, Bucket: bucket, Key: []byte(key), Apply: r.write("v"),
				Done: func(res Result) { done <- res },
			})
			if err != nil {
				t.Fatal(err)
			}
			mustDo(t, <-done)
		}
		last := kv.BucketID(1<<32 - 1)
		for _, bucket := range []kv.BucketID{7, 2, last, 1 << 27} {
			write(partition, bucket, "a")
			write(partition, bucket, "b")
		}
		write(partition-1, 1, "a")
		write(partition+1, 3, "a")
		for _, step := range []struct {
			from, want kv.BucketID
			found      bool
		}{
			{0, 2, true}, {2, 2, true}, {3, 7, true}, {8, 1 << 27, true}, {1<<27 + 1, last, true},
			{last, last, true},
		} {
			got, found, err := r.BucketFrom(partition, step.from)
			if err != nil || got != step.want || found != step.found {
				t.Errorf("from %d: %d, %v, %v; want %d", step.from, got, found, err, step.want)
			}
		}
		if got, found, err := r.BucketFrom(9, 0); got != 0 || found || err != nil {
			t.Errorf("of an empty partition: %d, %v, %v", got, found, err)
		}
	})
}
