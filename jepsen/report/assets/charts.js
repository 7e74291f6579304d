// SPDX-License-Identifier: Apache-2.0
// charts.js: latency and throughput.

const dots = 40000; // operations that are drawn one by one
const lines = [['max', 'max', 1], ['p999', 'p999', 1.5], ['p99', 'p99', 1.75], ['p50', 'p50', 2]];

// latencyScale is logarithmic, over the latencies in view.
function latencyScale(cut, chart) {
  let low = Infinity, high = 0;
  for (let i = 0; i < cut.n; i++) {
    if (cut.p50[i] === NONE) continue;
    low = Math.min(low, cut.p50[i]);
    high = Math.max(high, cut.max[i]);
  }
  if (low === Infinity) { low = codeOf(1e6); high = codeOf(1e9); }
  const part = shown();
  if (part.all && part.until - part.from <= dots) { // dots of what was not ok are in view too
    const ok = [];
    for (let i = part.from; i < part.until; i++) {
      if (outcomeOf(points.what[i]) === OK) ok.push(points.code[i]);
      else high = Math.max(high, points.code[i]); // the client may have given up at once
    }
    ok.sort((a, b) => a - b);
    low = Math.min(low, ok[Math.floor(ok.length / 200)] ?? low); // a few stay at the edge
    high = Math.max(high, ok[ok.length - 1] ?? high);
  }
  low = Math.max(0, low - 40);
  high += 40;
  const y = (code) => chart.low - Math.max(code - low, 4) / (high - low) * (chart.low - TOP);
  return { low, high, y };
}

function latencyAxis(g, chart, scale) {
  g.textAlign = 'right';
  g.textBaseline = 'middle';
  const decades = (scale.high - scale.low) / codeOf(1e4);
  for (let ns = 1000; ns <= 1e13; ns *= 10) {
    for (const times of decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 5]) {
      const code = codeOf(ns * times);
      if (code < scale.low || code > scale.high) continue;
      const y = scale.y(code);
      g.fillStyle = color('line');
      g.fillRect(LEFT, y, chart.inner, 1);
      g.fillStyle = color('faint');
      g.fillText(tellTook(ns * times), LEFT - 8, y);
    }
  }
}

function paintLatency(g, chart) {
  const cut = slicesOf(Math.max(Math.floor(chart.inner / 3), 8));
  const scale = latencyScale(cut, chart);
  latencyAxis(g, chart, scale);
  chart.clip(g);
  chart.shade(g);
  paintDots(g, chart, scale);
  for (const [name, tint, width] of lines) {
    g.strokeStyle = color(tint);
    g.fillStyle = color(tint);
    g.lineWidth = width;
    g.lineJoin = 'round';
    g.beginPath();
    let open = false;
    for (let i = 0; i < cut.n; i++) {
      const code = cut[name][i];
      if (code === NONE) { open = false; continue; }
      const x = chart.x(cut.from + (i + 0.5) * cut.width), y = scale.y(code);
      if (open) g.lineTo(x, y);
      else g.moveTo(x, y);
      open = true;
      const none = (other) => other === undefined || other === NONE;
      if (none(cut[name][i - 1]) && none(cut[name][i + 1])) g.fillRect(x - 1, y - 1, 2, 2);
    }
    g.stroke();
  }
  chart.marks(g);
  byId('detail').textContent = cut.exact ? 'counted anew for this part' : '';
}

// paintDots draws each operation where there is room for them: what failed, or is not known,
// above the rest.
function paintDots(g, chart, scale) {
  const part = shown();
  const n = part.until - part.from;
  if (n > dots) return;
  const size = n > 4000 ? 1.5 : n > 400 ? 2.5 : 4;
  for (const [outcome, tint, alpha] of [[OK, 'p50', 0.45], [FAIL, 'fail', 1], [INFO, 'info', 1]]) {
    g.fillStyle = color(tint);
    g.globalAlpha = alpha;
    for (let i = part.from; i < part.until; i++) {
      if (outcomeOf(points.what[i]) !== outcome) continue;
      g.fillRect(chart.x(points.at[i]) - size / 2, scale.y(points.code[i]) - size / 2, size, size);
    }
  }
  g.globalAlpha = 1;
}

function tellLatency(x, y, chart) {
  const cut = slicesOf(Math.max(Math.floor(chart.inner / 3), 8));
  const i = Math.floor((chart.time(x) - cut.from) / cut.width);
  if (i < 0 || i >= cut.n) return '';
  const counts = `: ok ${tellCount(cut.ok[i])}, failed ${tellCount(cut.fail[i])}, ` +
    `unknown ${tellCount(cut.info[i])} in ${tellTook(cut.width)}`;
  if (cut.p50[i] === NONE) return counts + faultsAt(chart.time(x));
  const took = ['p50', 'p99', 'p999', 'max'].map((name) => tellTook(latencyOf(cut[name][i])));
  return `${counts}; p50 ${took[0]}, p99 ${took[1]}, p99.9 ${took[2]}, longest ${took[3]}` +
    faultsAt(chart.time(x));
}

// faultsAt names the faults at a time.
function faultsAt(at) {
  const names = (data.faults || []).filter((f) => f.from <= at && f.until >= at).map((f) => f.kind);
  return names.length ? '; ' + [...new Set(names)].join(', ') : '';
}

function paintThroughput(g, chart) {
  const cut = slicesOf(Math.max(Math.floor(chart.inner / 4), 8));
  const second = cut.width / 1e9;
  let most = 0;
  for (let i = 0; i < cut.n; i++) most = Math.max(most, cut.ok[i], cut.fail[i], cut.info[i]);
  most = Math.max(most / second, 1e-9) * 1.08;
  const y = (count) => chart.low - count / second / most * (chart.low - TOP);
  g.textAlign = 'right';
  g.textBaseline = 'middle';
  const step = stepOf(most / 4);
  for (let at = 0; at <= most; at += step) {
    g.fillStyle = color('line');
    g.fillRect(LEFT, y(at * second), chart.inner, 1);
    g.fillStyle = color('faint');
    g.fillText(tellCount(at), LEFT - 8, y(at * second));
  }
  chart.clip(g);
  chart.shade(g);
  for (const [name, tint] of [['ok', 'ok'], ['info', 'info'], ['fail', 'fail']]) {
    g.beginPath();
    for (let i = 0; i < cut.n; i++) {
      const from = chart.x(cut.from + i * cut.width), until = chart.x(cut.from + (i + 1) * cut.width);
      if (i === 0) g.moveTo(from, y(cut[name][i]));
      g.lineTo(from, y(cut[name][i]));
      g.lineTo(until, y(cut[name][i]));
    }
    g.strokeStyle = color(tint);
    g.lineWidth = 1.5;
    g.stroke();
    if (name !== 'ok') continue;
    g.lineTo(chart.x(cut.from + cut.n * cut.width), chart.low);
    g.lineTo(chart.x(cut.from), chart.low);
    g.globalAlpha = 0.15;
    g.fillStyle = color(tint);
    g.fill();
    g.globalAlpha = 1;
  }
  chart.marks(g);
}
