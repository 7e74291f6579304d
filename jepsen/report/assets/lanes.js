// SPDX-License-Identifier: Apache-2.0
// lanes.js: rows over time: faults by kind, and how much each node answered.

const LANE = 18; // pixels a row

const faultKinds = [...new Set((data.faults || []).map((f) => f.kind))].sort();

// label writes the name of a row, cut where it is too long.
function label(g, text, y) {
  g.textAlign = 'right';
  g.textBaseline = 'middle';
  g.fillStyle = color('text');
  let cut = text;
  while (cut.length > 1 && g.measureText(cut).width > LEFT - 12) cut = cut.slice(0, -2) + '…';
  g.fillText(cut, LEFT - 8, y);
}

function paintLanes(g, chart) {
  faultKinds.forEach((kind, row) => label(g, kind, TOP + (row + 0.5) * LANE));
  chart.clip(g);
  for (const f of data.faults || []) {
    const from = chart.x(f.from), width = Math.max(chart.x(f.until) - from, 2);
    const top = TOP + faultKinds.indexOf(f.kind) * LANE + 3;
    g.fillStyle = g.strokeStyle = color('bit');
    if (f.bit) g.fillRect(from, top, width, LANE - 6);
    else g.strokeRect(from + 0.5, top + 0.5, width, LANE - 7);
  }
  chart.marks(g);
}

function tellLanes(x, y, chart) {
  const kind = faultKinds[Math.floor((y - TOP) / LANE)];
  const near = 3 * (view.until - view.from) / chart.inner;
  const at = chart.time(x);
  const here = (data.faults || []).filter((f) => f.kind === kind && f.from - near <= at && f.until + near >= at);
  return here.length ? ': ' + here.map((f) => f.title).join('; ') : '';
}

let perNode = null; // of each node, for each slice: how many were ok, and how many there were

// shade of a share: what is not all must not look like all.
function shareColor(share) {
  if (share >= 0.9995) return color('a100');
  if (share >= 0.99) return color('a99');
  if (share >= 0.9) return color('a90');
  return color(share >= 0.5 ? 'a50' : 'a0');
}

// nodeSlices gives each node's counts in the part in view.
function nodeSlicesOf(n) {
  const part = shown();
  if (!part.all || part.until - part.from > few) {
    return { n: data.nodeSlices, width: data.span / data.nodeSlices, from: 0, counts: perNode };
  }
  const width = (view.until - view.from) / n;
  const counts = new Uint32Array(2 * n * data.nodes.length);
  for (let i = part.from; i < part.until; i++) {
    const node = points.node[i];
    if (node >= data.nodes.length) continue;
    const slice = Math.min(Math.max(Math.floor((points.at[i] - view.from) / width), 0), n - 1);
    const at = 2 * (node * n + slice);
    if (outcomeOf(points.what[i]) === OK) counts[at]++;
    counts[at + 1]++;
  }
  return { n, width, from: view.from, counts };
}

function paintNodes(g, chart) {
  const cut = nodeSlicesOf(Math.max(Math.floor(chart.inner / 4), 8));
  chart.cut = cut;
  data.nodes.forEach((name, node) => label(g, name, TOP + (node + 0.5) * LANE));
  chart.clip(g);
  for (let node = 0; node < data.nodes.length; node++) {
    for (let slice = 0; slice < cut.n; slice++) {
      const at = 2 * (node * cut.n + slice);
      if (cut.counts[at + 1] === 0) continue;
      const from = chart.x(cut.from + slice * cut.width);
      const until = chart.x(cut.from + (slice + 1) * cut.width);
      if (until < LEFT || from > LEFT + chart.inner) continue;
      g.fillStyle = shareColor(cut.counts[at] / cut.counts[at + 1]);
      g.fillRect(from, TOP + node * LANE + 2, Math.max(until - from, 1) + 0.3, LANE - 4);
    }
  }
  chart.marks(g);
}

function tellNodes(x, y, chart) {
  const node = Math.floor((y - TOP) / LANE), cut = chart.cut;
  const slice = Math.floor((chart.time(x) - cut.from) / cut.width);
  if (node < 0 || node >= data.nodes.length || slice < 0 || slice >= cut.n) return '';
  const at = 2 * (node * cut.n + slice);
  return `: ${data.nodes[node]}: ${tellCount(cut.counts[at])} of ${tellCount(cut.counts[at + 1])} ok`;
}

const laneHeight = (rows) => TOP + Math.max(rows, 1) * LANE + BOTTOM + 4 + 'px';
