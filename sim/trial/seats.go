// SPDX-License-Identifier: Apache-2.0

package trial

import "time"

// seatsOut is a fault of all who have a seat in the metadata group. For By before they lose
// their power the disks of all but the leader stand, so that what is under way then gets
// onto the disk of nobody else: a seat that has acknowledged it all the same has lied. And
// the leader, who has it, comes back last, when the others have gone on without it.
type seatsOut struct {
	r     *run
	f     *fault
	seats []*host
	// leader is one of them; nil where nobody led. returned: it may start again.
	leader   *host
	returned bool
}

// elected is how often is looked whether the others have a leader, again apart. A seat waits
// for one that is away for two elections before it takes part in the first: with the longest
// ticks eight seconds all in all.
const elected = 20

func (r *run) seatsPower(f *fault) []action {
	o := &seatsOut{r: r, f: f}
	at := time.Duration(f.At + f.By)
	end := at + time.Duration(f.For)
	score := []action{{time.Duration(f.At), o.stand}, {at, o.lose}, {end, o.othersReturn}}
	for i := range elected {
		last := i == elected-1
		score = append(score, action{
			end + time.Duration(i+1)*again, func() { o.leaderReturns(last) },
		})
	}
	return score
}

// stand lets the disks of all but the leader do nothing.
func (o *seatsOut) stand() {
	leads := o.r.leader()
	seats, _ := o.r.cluster.Seats()
	for _, s := range seats {
		h := o.r.hosts[s.ID-1]
		o.seats = append(o.seats, h)
		if h == leads {
			o.leader = h
		}
	}
	for _, h := range o.standing() {
		h.stalls++
		h.slows.begin(o.f, standing)
		o.r.slow(h)
	}
}

// standing are those whose disks stand.
func (o *seatsOut) standing() []*host {
	if o.f.By <= 0 {
		return nil
	}
	return o.others()
}

// others are all but the leader.
func (o *seatsOut) others() (others []*host) {
	for _, h := range o.seats {
		if h != o.leader {
			others = append(others, h)
		}
	}
	return others
}

// lose takes the power of all at once.
func (o *seatsOut) lose() {
	for _, h := range o.seats {
		o.f.bit = o.r.losePower(h) || o.f.bit
		h.down++
	}
	for _, h := range o.standing() {
		h.stalls = max(0, h.stalls-1)
		h.slows.end(o.f)
		o.r.slow(h)
	}
}

// othersReturn lets all but the leader start, and the leader where there is nobody else.
func (o *seatsOut) othersReturn() {
	others := o.others()
	for _, h := range others {
		o.r.back(h)
	}
	if len(others) == 0 {
		o.leaderReturns(true)
	}
}

// leaderReturns lets the leader start when the others have another one, and at last in any
// case.
func (o *seatsOut) leaderReturns(last bool) {
	if o.leader == nil || o.returned || !last && o.r.leader() == nil {
		return
	}
	o.returned = true
	o.r.back(o.leader)
}
