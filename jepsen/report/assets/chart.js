// SPDX-License-Identifier: Apache-2.0
// chart.js: a canvas with a time axis, that can be zoomed by pointer and keyboard.

const LEFT = 112, RIGHT = 10, TOP = 8, BOTTOM = 22; // the same for all, so that times align

// color is one of the style sheet's.
let colors = {};
function color(name) {
  return (colors[name] ??= getComputedStyle(document.documentElement).getPropertyValue('--' + name));
}
pictures.push(() => { colors = {}; }); // the first of them: light may have become dark

class Chart {
  // paint draws into the chart, told(x) says what is at a place in words.
  constructor(id, paint, told) {
    this.canvas = byId(id);
    this.paint = paint;
    this.told = told;
    this.drag = null;
    pictures.push(() => this.draw());
    this.listen();
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    this.inner = Math.max(this.width - LEFT - RIGHT, 1);
    this.low = this.height - BOTTOM; // where the picture ends and the axis begins
    const g = canvas.getContext('2d');
    g.scale(ratio, ratio);
    g.font = '12px system-ui, "DejaVu Sans", sans-serif';
    g.fillStyle = color('page');
    g.fillRect(0, 0, this.width, this.height);
    this.axis(g);
    g.save();
    this.paint(g, this);
    g.restore();
    if (this.drag && this.drag.moved) {
      g.fillStyle = color('shade');
      g.strokeStyle = color('focus');
      const from = Math.min(this.drag.from, this.drag.to), width = Math.abs(this.drag.to - this.drag.from);
      g.fillRect(from, TOP, width, this.low - TOP);
      g.strokeRect(from, TOP, width, this.low - TOP);
    }
    canvas.dataset.painted = 'yes';
  }

  x(ns) { return LEFT + (ns - view.from) / (view.until - view.from) * this.inner; }
  time(x) { return view.from + (x - LEFT) / this.inner * (view.until - view.from); }

  // clip keeps what is drawn off the labels.
  clip(g) {
    g.beginPath();
    g.rect(LEFT, 0, this.inner, this.low);
    g.clip();
  }

  axis(g) {
    const step = stepOf((view.until - view.from) / Math.max(this.inner / 110, 1));
    g.textAlign = 'center';
    g.textBaseline = 'top';
    const begin = Math.ceil((view.from + data.from) / step) * step - data.from;
    for (let at = begin; at <= view.until; at += step) {
      const x = this.x(at);
      g.fillStyle = color('line');
      g.fillRect(x, TOP, 1, this.low - TOP);
      g.fillStyle = color('faint');
      if (x < this.width - 24) g.fillText(tellStep(at + data.from, step), x, this.low + 5);
    }
  }

  // shade draws faults behind the picture.
  shade(g) {
    g.fillStyle = color('shade');
    for (const f of data.faults || []) {
      const from = this.x(f.from), width = Math.max(this.x(f.until) - from, 1);
      if (f.bit) g.fillRect(from, TOP, width, this.low - TOP);
    }
  }

  // marks draws the violations.
  marks(g) {
    g.fillStyle = color('violation');
    for (const at of data.marks || []) g.fillRect(this.x(at) - 0.75, TOP, 1.5, this.low - TOP);
  }

  listen() {
    const { canvas } = this;
    const inside = (event) => Math.min(Math.max(event.offsetX, LEFT), this.width - RIGHT);
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = { from: inside(event), to: inside(event), moved: false };
    });
    canvas.addEventListener('pointermove', (event) => {
      const x = inside(event);
      if (this.drag) {
        this.drag.to = x;
        this.drag.moved ||= Math.abs(x - this.drag.from) > 4;
        draw();
      }
      byId('readout').textContent = tellTime(this.time(x)) + this.told(x, event.offsetY, this);
    });
    canvas.addEventListener('pointerup', () => {
      const drag = this.drag;
      this.drag = null;
      if (drag && drag.moved) {
        const a = this.time(drag.from), b = this.time(drag.to);
        show(Math.min(a, b), Math.max(a, b));
      }
    });
    canvas.addEventListener('pointercancel', () => { this.drag = null; draw(); });
    canvas.addEventListener('dblclick', actions.all);
    canvas.addEventListener('wheel', (event) => {
      if (!event.ctrlKey) return; // without it the page scrolls
      event.preventDefault();
      zoom(Math.exp(event.deltaY / 200), (inside(event) - LEFT) / this.inner);
    }, { passive: false });
    canvas.addEventListener('keydown', (event) => {
      const name = keys[event.key];
      if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      actions[name]();
    });
  }
}

// stepOf is a round time that is not less than one.
function stepOf(least) {
  const round = Math.pow(10, Math.floor(Math.log10(Math.max(least, 1))));
  if (least >= 30e9 && least < 3600e9) {
    return [30e9, 60e9, 120e9, 300e9, 600e9, 1800e9, 3600e9].find((s) => s >= least);
  }
  return [1, 2, 5, 10].map((n) => n * round).find((s) => s >= least);
}

function tellStep(ns, step) {
  if (step >= 60e9) return Math.round(ns / 60e9) + ' min';
  const digits = Math.max(0, -Math.floor(Math.log10(step / 1e9)));
  return (ns / 1e9).toFixed(digits) + ' s';
}
