// The ring: each partition in its owner's colour, and how many each member owns.

import { h, mark, s, text } from './dom.js';
import { read } from './api.js';
import { percent } from './format.js';
import { state } from './state.js';

const size = 400;
const outer = 176;
const inner = 128;

export class Ring {
  constructor() {
    this.title = s('text', { x: size / 2, y: size / 2 - 2 });
    this.sub = s('text', { class: 'sub', x: size / 2, y: size / 2 + 16 });
    this.segments = s('g');
    this.svg = s('svg', { class: 'ring', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'The ring' }, this.segments, this.title, this.sub);
    this.shares = h('ul', { class: 'shares' });
    this.about = h('p', { class: 'muted' });
    this.element = h('section', { 'aria-label': 'Ring' },
      h('div', { class: 'panel around' }, this.svg, h('div', null,
        h('h2', null, 'Who owns which partition'), this.shares, this.about,
        h('p', { class: 'muted small' }, 'Every member holds every key. The owner is whom the others prefer to ask: it settles removals, and hands a partition to who rebuilds. It is never a condition of safety.'))));
    this.only = null;
  }

  show() { this.epoch = undefined; }

  // update asks for the placement anew when the epoch has changed. The placement changes with
  // nothing else.
  async update() {
    if (!state.status || this.asking || this.epoch === state.status.epoch) return;
    this.asking = true;
    try {
      this.draw(await read('/console/api/placement'));
      this.epoch = state.status.epoch;
    } catch (error) {
      text(this.about, error.message);
    } finally {
      this.asking = false;
    }
  }

  draw({ members, owners, epoch }) {
    this.placement = { members, owners };
    const n = owners.length;
    this.segments.replaceChildren(...owners.map((owner, p) => {
      const path = s('path', { d: arc((p / n) * 2 * Math.PI, ((p + 1) / n) * 2 * Math.PI), 'data-m': String(state.color(members[owner])), 'data-owner': String(owner) });
      path.append(s('title', null, `partition ${p}: ${members[owner]}`));
      return path;
    }), ...[0, n / 4, n / 2, (3 * n) / 4].map((p) => {
      const [x, y] = at((p / n) * 2 * Math.PI, outer + 13);
      return s('text', { class: 'tick', x, y: y + 4 }, String(p));
    }));
    this.shares.replaceChildren(...members.map((name, i) => {
      const owned = owners.filter((o) => o === i).length;
      return h('li', null, h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => this.select(this.only === i ? null : i) },
        h('i', { class: 'swatch', 'data-m': String(state.color(name)) }), h('span', { class: 'wrap' }, name), h('span', { class: 'muted' }, `${owned} of ${n} · ${percent(owned / n)}`)));
    }));
    text(this.about, `${n} partitions at epoch ${epoch}. Choose a member to see its own.`);
    this.select(this.only !== null && this.only < members.length ? this.only : null);
  }

  select(i) {
    this.only = i;
    const { members, owners } = this.placement;
    if (i === null) this.svg.removeAttribute('data-only');
    else mark(this.svg, 'data-only', String(i));
    for (const path of this.segments.querySelectorAll('path')) path.classList.toggle('on', path.dataset.owner === String(i));
    this.shares.querySelectorAll('button').forEach((b, k) => mark(b, 'aria-pressed', String(k === i)));
    text(this.title, i === null ? `${owners.length} partitions` : members[i]);
    text(this.sub, i === null ? `${members.length} owner${members.length === 1 ? '' : 's'}` : `${owners.filter((o) => o === i).length} partitions`);
    mark(this.svg, 'aria-label', `The ring: ${members.map((m, k) => `${m} owns ${owners.filter((o) => o === k).length}`).join(', ')} of ${owners.length} partitions`);
  }
}

// at returns a point on a circle, clockwise from the top.
function at(angle, radius) {
  return [size / 2 + radius * Math.sin(angle), size / 2 - radius * Math.cos(angle)].map((v) => Number(v.toFixed(2)));
}

function arc(from, to) {
  const [a, b, c, d] = [at(from, outer), at(to, outer), at(to, inner), at(from, inner)];
  return `M${a}A${outer} ${outer} 0 0 1 ${b}L${c}A${inner} ${inner} 0 0 0 ${d}Z`;
}
