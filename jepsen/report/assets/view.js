// SPDX-License-Identifier: Apache-2.0
// view.js: the part of the run that all pictures over time show.

const view = { from: 0, until: data.span };
const pictures = []; // functions that draw

// show makes all pictures show a part of the run, as far as there is one.
function show(from, until) {
  const least = Math.min(1000, data.span); // a microsecond
  const width = Math.min(Math.max(until - from, least), data.span);
  view.from = Math.min(Math.max(from, 0), data.span - width);
  view.until = view.from + width;
  draw();
}

let waiting = false;

// draw draws all pictures, once for each frame however often it is asked.
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const picture of pictures) picture();
    const out = byId('window');
    out.textContent = tellTime(view.from) + ' – ' + tellTime(view.until);
    out.dataset.from = view.from;
    out.dataset.until = view.until;
  });
}

// zoom keeps the place at a share of the width where it is.
function zoom(factor, share = 0.5) {
  const width = view.until - view.from;
  const at = view.from + share * width;
  show(at - share * width * factor, at + (1 - share) * width * factor);
}

function pan(share) {
  const by = share * (view.until - view.from);
  show(view.from + by, view.until + by);
}

let nextMark = 0;

const actions = {
  in: () => zoom(0.5),
  out: () => zoom(2),
  left: () => pan(-0.25),
  right: () => pan(0.25),
  all: () => show(0, data.span),
  violation: () => {
    const at = data.marks[nextMark++ % data.marks.length];
    const width = Math.min(2e9, data.span);
    show(at - width / 2, at + width / 2);
  },
};

const keys = {
  '+': 'in', '=': 'in', '-': 'out', ArrowLeft: 'left', ArrowRight: 'right', 0: 'all', Home: 'all',
};

function startView() {
  for (const button of document.querySelectorAll('[data-do]')) {
    button.addEventListener('click', actions[button.dataset.do]);
    if (button.dataset.do === 'violation') button.hidden = !(data.marks || []).length;
  }
  addEventListener('resize', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
}
