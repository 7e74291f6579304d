// SPDX-License-Identifier: Apache-2.0

package wire

import "github.com/dyno-kv/dyno/kv"

// Limits of one request that decoders enforce. Limits of whole messages stand with the
// structural scan; limits of one key stand in kv.
const (
	// MaxBucketName is the longest name of a bucket, in bytes.
	MaxBucketName = 255
	// MaxList is how many keys a request may name, and how many entries a page has.
	MaxList = 1024
	// MaxToken is the longest context that a request may carry, in bytes: the largest
	// context that kv accepts, sealed (version and checksum are 9 bytes).
	MaxToken = kv.MaxRequestContext + 9
	// MaxTrace is the longest trace of a request, in bytes.
	MaxTrace = 128
	// MaxCursor is the longest cursor that a request may carry, in bytes: the longest
	// key, and what a cursor adds to it.
	MaxCursor = kv.MaxKey + 64
	// MaxName is the longest name of a node, zone, client, version or feature, in bytes.
	MaxName = 255
	// MaxTTLMS is the longest time to live, in milliseconds (100 years): far from the
	// end of what Unix milliseconds can say.
	MaxTTLMS = 100 * 365 * 24 * 3600 * 1000
	// MaxLockName is the longest name of a lock or session, in bytes; MaxLockValue the
	// longest value that a holder leaves with a lock.
	MaxLockName  = 255
	MaxLockValue = 4 << 10
	// MaxHolder is the highest number of a holder.
	MaxHolder = 1<<63 - 1
	// MaxReason is the longest reason of a forced release, in bytes.
	MaxReason = 255
	// MinSessionTTLMS and MaxSessionTTLMS bound how long a session lives without being
	// kept alive, in milliseconds. Below, a short pause of a process would end it.
	MinSessionTTLMS = 5_000
	MaxSessionTTLMS = 24 * 3600 * 1000
	// MaxInFlight is how many requests a connection may have open. Blocked lock waits are
	// outside of it.
	MaxInFlight = 256

	// DefaultTimeoutMS is how long a node works on a request that names no time.
	DefaultTimeoutMS = 5000
	// DefaultScanLimit is how many entries a page has where the request names no limit.
	DefaultScanLimit = 100
	// DefaultSessionTTLMS is that of a session whose request names none.
	DefaultSessionTTLMS = 15_000
)
