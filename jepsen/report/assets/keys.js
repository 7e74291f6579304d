// SPDX-License-Identifier: Apache-2.0
// keys.js: what happened to one key, operation by operation.

const SVG = 'http://www.w3.org/2000/svg';
const ROW = 34;
const timeline = { keys: [], key: null, wide: 1, at: -1, bars: [], rows: [] };

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function cell(name, text) {
  const element = document.createElement(name);
  element.textContent = text ?? '';
  if (name === 'th') element.scope = 'row';
  return element;
}

async function startKeys() {
  timeline.keys = JSON.parse(new TextDecoder().decode(await unpack('keys'))) || [];
  if (!timeline.keys.length) return;
  const choice = byId('key-choice');
  timeline.keys.forEach((key, i) => {
    const broken = key.rules ? `✗ ${key.rules.join(', ')}: ` : '';
    choice.add(new Option(`${broken}${key.name} (${key.all})`, i));
  });
  choice.addEventListener('change', () => showKey(Number(choice.value)));
  byId('key-wide').addEventListener('click', () => { timeline.wide *= 2; showKey(); });
  byId('key-narrow').addEventListener('click', () => { timeline.wide /= 2; showKey(); });
  byId('key-line').addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    select(timeline.at + by);
  });
  byId('key-view').hidden = false;
  showKey(0);
}

// showKey draws one key's timeline, and its table.
function showKey(i) {
  if (i !== undefined) {
    timeline.key = timeline.keys[i];
    timeline.wide = 1;
    timeline.at = -1;
  }
  timeline.wide = Math.min(Math.max(timeline.wide, 0.25), 256);
  const { key } = timeline;
  byId('key-said').textContent = key.ops.length < key.all
    ? `${key.ops.length} of its ${key.all} operations are told` : `${key.all} operations`;
  drawKey(key);
  tableOf(key);
  if (i !== undefined) {
    const bad = key.ops.findIndex((op) => op.b);
    select(Math.max(bad, 0));
  } else {
    select(timeline.at);
  }
}

// keyAxis maps times to pixels: a gap is as wide as the logarithm of its time, since a key
// may rest for long between operations that are short.
function keyAxis(ops) {
  const times = [...new Set(ops.flatMap((op) => [op.f, op.u]))].sort((a, b) => a - b);
  const at = new Map();
  let x = 8;
  times.forEach((time, i) => {
    if (i > 0) x += (2 + 4 * Math.log10(1 + (time - times[i - 1]) / 1000)) * timeline.wide;
    at.set(time, x);
  });
  return { x: (time) => at.get(time), times, end: x };
}

function drawKey(key) {
  const axis = keyAxis(key.ops);
  const processes = [...new Set(key.ops.map((op) => op.p))].sort((a, b) => a - b);
  const height = 30 + processes.length * ROW + 6;
  const width = Math.ceil(axis.end + 160);
  const picture = svg('svg', { class: 'figure', width, height, viewBox: `0 0 ${width} ${height}` });
  const names = svg('svg', { class: 'names', width: 96, height, viewBox: `0 0 96 ${height}` });
  let last = -Infinity;
  for (const time of axis.times) {
    if (axis.x(time) - last < 110) continue;
    last = axis.x(time);
    picture.append(
      svg('line', { class: 'mark', x1: last, x2: last, y1: 20, y2: height }),
      svg('text', { class: 'small', x: last, y: 14 }, ((time + data.from) / 1e9).toFixed(6) + ' s'),
    );
  }
  processes.forEach((p, row) => {
    const y = 30 + row * ROW + 24;
    picture.append(svg('line', { class: 'lane', x1: 0, x2: width, y1: y, y2: y }));
    names.append(svg('text', { x: 4, y: y + 4 }, `process ${p}`));
  });
  const free = new Map(); // from where on a row has room for text
  timeline.bars = key.ops.map((op, i) => {
    const row = processes.indexOf(op.p), y = 30 + row * ROW + 19;
    const x = axis.x(op.f), bar = svg('g', { class: `op ${op.o}` });
    const rect = svg('rect', {
      x, y, width: Math.max(axis.x(op.u) - x, 3), height: 10, rx: 2, class: op.b ? 'bad' : '',
    });
    bar.append(svg('title', {}, op.t), rect);
    const text = brief(op);
    if ((free.get(row) ?? 0) <= x) {
      bar.append(svg('text', { x, y: y - 4 }, text));
      free.set(row, x + text.length * 6.7 + 6);
    }
    bar.addEventListener('click', () => select(i));
    picture.append(bar);
    return rect;
  });
  byId('key-names').replaceChildren(names);
  byId('key-line').replaceChildren(picture);
}

const set = (values, more) => '{' + (values || []).join(' ') + (more ? ` +${more}` : '') + '}';
const reads = (op) => op.o === 'ok' && (op.k === 'get' || op.k === 'members');

function brief(op) {
  if (reads(op)) return set(op.r, op.m);
  return op.k + (op.v ? ' ' + op.v : '');
}

function tableOf(key) {
  const head = document.createElement('thead');
  const names = ['began', 'process', 'operation', 'outcome', 'found', 'over', 'node', 'error', 'evidence'];
  const line = head.insertRow();
  for (const name of names) {
    const column = cell('th', name);
    column.scope = 'col';
    line.append(column);
  }
  const body = document.createElement('tbody');
  timeline.rows = key.ops.map((op) => {
    const row = body.insertRow();
    if (op.b) row.className = 'bad';
    row.append(
      cell('th', ((op.f + data.from) / 1e9).toFixed(6) + ' s'), cell('td', op.p),
      cell('td', op.k + (op.v ? ' ' + op.v : '') + (op.z ? ' (final)' : '')), cell('td', op.o),
      cell('td', reads(op) || op.r ? set(op.r, op.m) : ''), cell('td', op.c ? set(op.c) : ''),
      cell('td', op.n), cell('td', op.e), cell('td', (op.b || []).join(', ')),
    );
    return row;
  });
  byId('key-table').replaceChildren(head, body);
}

// select shows one operation in full.
function select(i) {
  const { bars, rows, key } = timeline;
  if (i < 0 || i >= bars.length) return;
  bars[timeline.at]?.classList.remove('sel');
  rows[timeline.at]?.classList.remove('sel');
  timeline.at = i;
  bars[i].classList.add('sel');
  rows[i].classList.add('sel');
  const op = key.ops[i];
  byId('key-op').textContent = op.t + (op.e ? `: ${op.e}` : '') +
    (op.b ? ` (evidence of ${op.b.join(', ')})` : '');
  const line = byId('key-line');
  const x = bars[i].getAttribute('x') - line.clientWidth / 2;
  line.scrollLeft = Math.max(0, x);
}
