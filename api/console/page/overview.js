// The overview: figures, charts, and a card for each member.

import { h, mark, text } from './dom.js';
import { Chart } from './chart.js';
import { bytes, count, none, percent, seconds, short } from './format.js';
import { Events } from './events.js';
import { stateOf, troubleOf } from './health.js';
import { about, state } from './state.js';

const span = 180000;

export class Overview {
  constructor() {
    this.figures = figures.map((f) => ({ ...f, value: h('dd', null, none) }));
    this.load = new Chart({ title: 'Operations per second', span, least: 10, format: short,
      lines: [{ field: 'reads', label: 'reads', tone: 'a' }, { field: 'writes', label: 'writes', tone: 'b' }] });
    this.latency = new Chart({ title: 'Time to answer', span, least: 0.01, log: true, format: seconds,
      lines: [{ field: 'p50', label: 'p50', tone: 'a' }, { field: 'p99', label: 'p99', tone: 'b' }] });
    this.cards = new Map();
    this.grid = h('ul', { class: 'cards', 'aria-label': 'Members' });
    this.events = new Events();
    this.measured = h('p', { class: 'muted small' });
    this.element = h('section', { 'aria-label': 'Overview' },
      h('dl', { class: 'figures panel' }, this.figures.map((f) => h('div', { title: f.hint }, h('dt', null, f.label), f.value))),
      h('div', { class: 'charts' }, this.load.element, this.latency.element),
      this.measured,
      h('h2', { class: 'over' }, 'Members'), this.grid, this.events.element);
  }

  update() {
    const points = state.rates.history;
    this.load.draw(points);
    this.latency.draw(points);
    for (const f of this.figures) text(f.value, f.read(points.at(-1) ?? {}));
    const nodes = [...state.rates.nodes.keys()];
    text(this.measured, nodes.length
      ? `Rates and times are those of ${nodes.length === 1 ? nodes[0] : `the ${nodes.length} nodes behind this address`}, over /get, /is, /set and /rm; the console’s own questions are not counted.`
      : 'No measurements.');
    this.events.update();
    if (!state.status) return;
    const seen = new Set();
    for (const member of state.status.members) {
      seen.add(member.name);
      let card = this.cards.get(member.name);
      if (!card) {
        card = new Card(member.name);
        this.cards.set(member.name, card);
        this.grid.append(card.element);
      }
      card.update(member);
    }
    for (const [name, card] of this.cards) {
      if (!seen.has(name)) { card.element.remove(); this.cards.delete(name); }
    }
  }
}

const figures = [
  { label: 'Operations', hint: 'get, is, set and rm per second', read: (p) => (p.reads === undefined || p.reads === null ? none : `${short(p.reads + p.writes)}/s`) },
  { label: 'Typical (p50)', hint: 'Half of the requests of the last second took less', read: (p) => seconds(p.p50 ?? undefined) },
  { label: 'Slow (p99)', hint: 'One request in a hundred took longer', read: (p) => seconds(p.p99 ?? undefined) },
  { label: 'Keys', hint: 'Keys with a value, as the node that answers counts them', read: () => count(state.status?.keys) },
  { label: 'Memory', hint: 'Of keys and values on the node that answers', read: () => {
    const { bytes: used, maxBytes } = state.status ?? {};
    return maxBytes ? `${bytes(used)} of ${bytes(maxBytes)}` : bytes(used);
  } },
  { label: 'Conflicts settled', hint: 'Concurrent versions of a key that were met and settled by their tags, since the start', read: () => count(state.rates.sum('conflicts')) },
  { label: 'Repairs', hint: 'Reads that wrote a newer version back, hints replayed, and records copied, since the start', read: () => count(state.rates.sum('repairs')) },
  { label: 'Hints', hint: 'Keys held back for members that missed them', read: () => count(state.status?.members.reduce((n, m) => n + m.hints, 0)) },
];

// Card shows one member. Its rows are always there, so that nothing moves when a member comes or
// goes.
class Card {
  constructor(name) {
    this.badge = h('span', { class: 'badge' });
    this.swatch = h('i', { class: 'swatch' });
    this.rows = new Map();
    const row = (label, hint) => {
      const value = h('dd', null, none);
      this.rows.set(label, value);
      return h('div', { title: hint }, h('dt', null, label), value);
    };
    this.bar = h('progress', { max: 1, 'aria-label': `Progress of ${name}` });
    this.note = h('p', { class: 'small muted wrap' });
    this.element = h('li', { class: 'panel card', 'data-member': name },
      h('header', null, h('h3', { class: 'key' }, this.swatch, h('span', { class: 'wrap' }, name)), this.badge),
      h('dl', null, row('Epoch', 'The state of the topology that the member is at'), row('Keys', 'That the member holds'),
        row('Round trip', 'Of a sign of life, measured by the node that answers'), row('Hints', 'Keys that others hold back for it'),
        row('Ring share', 'Of the partitions that it owns'), row('HTTP', 'Its public address')),
      this.bar, this.note);
  }

  update(member) {
    const known = about(member);
    const { word, level } = stateOf(member);
    text(this.badge, word);
    mark(this.badge, 'data-level', level);
    mark(this.element, 'data-state', word);
    mark(this.element, 'data-level', level);
    mark(this.swatch, 'data-m', String(state.color(member.name)));
    const set = (label, value) => text(this.rows.get(label), value);
    set('Epoch', count(known.epoch));
    set('Keys', count(known.keys));
    set('Round trip', level === 'bad' ? none : known.rtt === undefined ? (known.answered ? 'this node' : none) : seconds(known.rtt));
    set('Hints', count(known.hints));
    set('Ring share', percent(member.ownership));
    set('HTTP', member.http || none);
    const busy = known.sync && known.sync.done < 1;
    const copying = word === 'rebuilding' || word === 'joining';
    const done = busy ? known.sync.done : copying ? known.share : undefined;
    this.bar.classList.toggle('on', Boolean(busy || copying));
    if (done === undefined) this.bar.removeAttribute('value');
    else this.bar.value = done;
    text(this.note, busy ? syncing(known.sync) : note(known, member));
  }
}

function syncing(sync) {
  return `${{ rebuild: 'Rebuilding', join: 'Joining', barrier: 'Settling', repair: 'Repairing' }[sync.kind] ?? sync.kind}: ${percent(sync.done)}, ${count(sync.keys)} keys, ${bytes(sync.bytes)}, about ${Math.ceil(sync.leftSeconds)} s left`;
}

function note(known, member) {
  const trouble = troubleOf(member);
  if (trouble) return trouble;
  if (member.state !== 'active') {
    return known.share === undefined ? 'Copying from the others.' : `Copying from the others: it has ${percent(known.share)} of what they hold.`;
  }
  if (!known.digest) return known.error ?? ' ';
  const counts = new Set(state.status.members.filter((m) => m.state === 'active').map((m) => m.name));
  const digests = [...state.holdings.values()].filter((x) => !x.error && counts.has(x.member)).map((x) => x.digest);
  return digests.every((d) => d === known.digest) ? 'Holds exactly what the others hold.' : 'Catching up (normal under writes).';
}
