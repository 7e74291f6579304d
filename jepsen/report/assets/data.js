// SPDX-License-Identifier: Apache-2.0
// data.js: what the page carries, and how it is unpacked.

const byId = (id) => document.getElementById(id);

// data is small and read at once; blobs are large, packed, and unpacked when they are needed.
const data = JSON.parse(byId('data').textContent);

async function unpack(name) {
  const element = byId('blob-' + name);
  const text = element.textContent;
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text)
    : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  element.remove(); // its text is as long as the data, and is not needed any more
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}

// points are the operations one by one, in the order in which they began: typed arrays, one
// for each column.
async function unpackPoints() {
  const bytes = await unpack('points');
  const n = data.points;
  const gaps = new Uint32Array(bytes, 0, n);
  const at = new Float64Array(n); // nanoseconds since the run began
  let time = 0;
  for (let i = 0; i < n; i++) {
    time += gaps[i];
    at[i] = time * data.unit;
  }
  return {
    n, at,
    code: new Uint16Array(bytes, 4 * n, n),
    node: new Uint8Array(bytes, 6 * n, n),
    what: new Uint8Array(bytes, 7 * n, n), // kind, and the outcome in the upper half
  };
}

const OK = 1, FAIL = 2, INFO = 3; // outcomes
const outcomeOf = (what) => what >> 4;
const NONE = 0xffff; // the code of a slice in which nothing was ok

// latencyOf is what a code stands for, in nanoseconds.
const latencyOf = (code) => 1000 * Math.pow(data.step, code);
const codeOf = (ns) => Math.log(Math.max(ns, 1000) / 1000) / Math.log(data.step);

// unpackLevels gives the run in slices, coarse levels first.
async function unpackLevels() {
  const bytes = await unpack('levels');
  let offset = 0;
  return data.slices.map((n) => {
    const level = { n, width: data.span / n };
    for (const name of ['ok', 'fail', 'info']) {
      level[name] = new Uint32Array(bytes, offset, n);
      offset += 4 * n;
    }
    for (const name of ['p50', 'p99', 'p999', 'max']) {
      level[name] = new Uint16Array(bytes, offset, n);
      offset += 2 * n;
    }
    return level;
  });
}

// texts for people

function tellTime(ns) {
  const seconds = (ns + data.from) / 1e9;
  const span = view.until - view.from;
  const digits = span > 20e9 ? 1 : span > 0.2e9 ? 3 : 6;
  return seconds.toFixed(digits) + ' s';
}

function tellTook(ns) {
  if (ns >= 1e9) return trim(ns / 1e9) + ' s';
  if (ns >= 1e6) return trim(ns / 1e6) + ' ms';
  if (ns >= 1e3) return trim(ns / 1e3) + ' µs';
  return Math.round(ns) + ' ns';
}

const trim = (x) => String(Number(x.toPrecision(3)));

const tellCount = (n) => Math.round(n).toLocaleString('en').replaceAll(',', '\u202f');
