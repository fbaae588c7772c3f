import { h, mark, s, text } from './dom.js';

// A line chart up to now: two lines, a scale that grows in round steps, and gaps where nothing is
// known. Values that span orders of magnitude are drawn on a logarithmic scale.

const height = 140;
const left = 52; // room for the scale
const bottom = 18;
const lowest = 1e-5; // the lowest value of a logarithmic scale
const maxTicks = 8;

// Chart draws lines of [{at, …}] points; each line is {field, label, tone}.
export class Chart {
  constructor({ title, lines, format, least, log }) {
    Object.assign(this, { title, lines, format, least, log, points: [], span: 0 });
    this.paths = lines.map((l) => s('path', { class: `line ${l.tone}` }));
    this.values = lines.map(() => h('span', { class: 'value' }, '–'));
    this.grid = Array.from({ length: maxTicks }, () => ({ line: s('line', { class: 'grid' }), label: s('text', { class: 'scale', 'text-anchor': 'end', x: left - 8 }) }));
    this.times = [s('text', { class: 'scale', y: height - 2 }), s('text', { class: 'scale', y: height - 2, 'text-anchor': 'end' }, 'now')];
    this.svg = s('svg', { class: 'chart', role: 'img', 'aria-label': title, height }, this.grid.flatMap((g) => [g.line, g.label]), this.times, this.paths);
    this.element = h('div', { class: 'panel' },
      h('header', null, h('h2', null, title), h('div', { class: 'legend' }, lines.map((l, i) => h('span', { class: 'key' }, h('i', { class: `stroke ${l.tone}` }), l.label, this.values[i])))),
      this.svg);
    new ResizeObserver(() => this.draw(this.points, this.span)).observe(this.element);
  }

  // draw draws points over a span in ms that ends with the last point.
  draw(points, span) {
    Object.assign(this, { points, span });
    const width = this.svg.clientWidth;
    if (!width) return;
    const now = points.at(-1)?.at ?? 0;
    const highest = Math.max(this.least, ...points.flatMap((p) => this.lines.map((l) => p[l.field] ?? 0)));
    const { ticks, share } = this.log ? decades(highest) : halves(highest);
    const x = (at) => left + (width - left - 2) * (1 - (now - at) / span);
    const y = (v) => 8 + (height - bottom - 10) * (1 - share(v));
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.grid.forEach(({ line, label }, i) => {
      const v = ticks[i];
      mark(line, 'visibility', v === undefined ? 'hidden' : 'visible');
      text(label, v === undefined ? '' : this.format(v));
      if (v === undefined) return;
      for (const [k, n] of [['x1', left], ['x2', width], ['y1', y(v)], ['y2', y(v)]]) line.setAttribute(k, n);
      label.setAttribute('y', y(v) + 4);
    });
    this.times[0].setAttribute('x', left);
    text(this.times[0], `${span / 60000} min ago`);
    this.times[1].setAttribute('x', width - 1);
    this.lines.forEach((l, i) => {
      let d = '';
      let pen = 'M';
      for (const p of points) {
        if (p[l.field] === null || now - p.at > span) { pen = 'M'; continue; }
        d += `${pen}${x(p.at).toFixed(1)} ${y(p[l.field]).toFixed(1)}`;
        if (pen === 'M') d += 'h0.01'; // a single point is drawn as a dot
        pen = 'L';
      }
      this.paths[i].setAttribute('d', d);
      const last = points.at(-1)?.[l.field];
      text(this.values[i], last === null || last === undefined ? '–' : this.format(last));
    });
    this.svg.setAttribute('aria-label', `${this.title}: ${this.lines.map((l, i) => `${l.label} ${this.values[i].textContent}`).join(', ')}`);
  }
}

// halves returns a linear scale up to the next of 1, 2 or 5 times a power of ten.
function halves(highest) {
  const power = 10 ** Math.floor(Math.log10(highest));
  const top = [1, 2, 5, 10].find((f) => f * power >= highest * 0.999) * power;
  return { ticks: [0, top / 2, top], share: (v) => v / top };
}

// decades returns a logarithmic scale up to the next power of ten.
function decades(highest) {
  const low = Math.log10(lowest);
  const high = Math.min(low + maxTicks - 1, Math.ceil(Math.log10(highest) - 1e-9));
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return { ticks, share: (v) => Math.min(1, Math.max(0, (Math.log10(Math.max(v, lowest)) - low) / (high - low))) };
}
