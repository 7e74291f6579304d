// SPDX-License-Identifier: Apache-2.0
// slices.js: what happened in the part of the run that is shown, in slices of it. Where
// few enough operations are shown each of them is looked at; else the page has counted.

let points = null; // once they are unpacked
let levels = null;
const few = 400000; // operations that are counted anew for each picture

// first is the first point that began at a time or later.
function first(at) {
  let low = 0, high = points.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points.at[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

// shown are the points in view, none where not all operations are points.
function shown() {
  if (!points) return { from: 0, until: 0, all: false };
  const from = first(view.from), until = first(view.until + 1);
  return { from, until, all: data.every === 1 };
}

// slicesOf gives the part in view in about n slices.
function slicesOf(n) {
  const part = shown();
  const there = part.until - part.from;
  if (part.all && there <= few) { // a slice of one or two operations has no quantiles
    return count(part, Math.max(8, Math.min(n, Math.floor(there / 12))));
  }
  const share = (view.until - view.from) / data.span;
  const level = levels.find((l) => l.n * share >= n) || levels[levels.length - 1];
  const begin = Math.max(0, Math.floor(view.from / level.width));
  const end = Math.min(level.n, Math.ceil(view.until / level.width));
  const cut = { n: end - begin, width: level.width, from: begin * level.width, exact: false };
  for (const name of ['ok', 'fail', 'info', 'p50', 'p99', 'p999', 'max']) {
    cut[name] = level[name].subarray(begin, end);
  }
  return cut;
}

// count looks at each point in view.
function count(part, n) {
  const width = (view.until - view.from) / n;
  const cut = { n, width, from: view.from, exact: true };
  for (const name of ['ok', 'fail', 'info']) cut[name] = new Uint32Array(n);
  for (const name of ['p50', 'p99', 'p999', 'max']) cut[name] = new Uint16Array(n).fill(NONE);
  const histogram = new Uint32Array(data.codes);
  let i = part.from;
  for (let slice = 0; slice < n; slice++) {
    const end = slice === n - 1 ? Infinity : view.from + (slice + 1) * width;
    let low = data.codes, high = -1;
    for (; i < part.until && points.at[i] < end; i++) {
      const outcome = outcomeOf(points.what[i]);
      if (outcome === FAIL) cut.fail[slice]++;
      else if (outcome === INFO) cut.info[slice]++;
      else {
        cut.ok[slice]++;
        const code = points.code[i];
        histogram[code]++;
        if (code < low) low = code;
        if (code > high) high = code;
      }
    }
    if (high >= 0) quantiles(histogram, low, high, cut, slice);
  }
  return cut;
}

// quantiles reads them from a histogram, and empties it.
function quantiles(histogram, low, high, cut, slice) {
  const all = cut.ok[slice];
  const wanted = [['p50', 0.5], ['p99', 0.99], ['p999', 0.999]];
  let seen = 0, next = 0;
  for (let code = low; code <= high; code++) {
    seen += histogram[code];
    histogram[code] = 0;
    while (next < wanted.length && seen >= Math.ceil(wanted[next][1] * all)) {
      cut[wanted[next][0]][slice] = code;
      next++;
    }
  }
  cut.max[slice] = high;
}
