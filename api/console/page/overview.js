// The overview: figures, charts, and a card for each member.

import { h, mark, text } from './dom.js';
import { Chart } from './chart.js';
import { bytes, count, none, percent, seconds, short } from './format.js';
import { Events } from './events.js';
import { readingOf, stateOf, troubleOf } from './health.js';
import { about, state } from './state.js';

export class Overview {
  constructor() {
    this.figures = figures.map((f) => {
      const label = h('dt', null, f.label);
      const value = h('dd', null, none);
      return { ...f, name: label, value, element: h('div', { title: f.hint }, label, value) };
    });
    this.load = new Chart({ title: 'Operations', least: 10, format: rate,
      lines: [{ field: 'reads', label: 'reads', tone: 'a' }, { field: 'writes', label: 'writes', tone: 'b' }] });
    this.errors = new Chart({ title: 'Errors', least: 1, format: rate,
      lines: [{ field: 'readsRefused', label: 'reads', tone: 'a' }, { field: 'writesRefused', label: 'writes', tone: 'b' }] });
    this.latency = new Chart({ title: 'Latency', least: 0.01, log: true, format: seconds,
      lines: [{ field: 'p50', label: 'p50', tone: 'a' }, { field: 'p99', label: 'p99', tone: 'b' }] });
    this.cards = new Map();
    this.grid = h('ul', { class: 'cards', 'aria-label': 'Members' });
    this.events = new Events();
    this.measured = h('p', { class: 'measured muted small' });
    this.element = h('section', { 'aria-label': 'Overview' },
      h('dl', { class: 'figures panel' }, this.figures.map((f) => f.element)),
      h('div', { class: 'charts' }, this.load.element, this.errors.element, this.latency.element),
      this.measured,
      h('h2', { class: 'over' }, 'Members'), this.grid, this.events.element);
  }

  update() {
    const { points, span, now } = state.record;
    for (const chart of [this.load, this.errors, this.latency]) chart.draw(points, span);
    for (const f of this.figures) {
      text(f.value, f.read(now ?? {}));
      text(f.name, f.detail?.(now ?? {}) ?? f.label);
      mark(f.element, 'data-level', f.level?.(now ?? {}) ?? '');
    }
    text(this.measured, measured(state.record));
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

// sum adds up two rates. Where nothing is known, neither is.
const sum = (a, b) => (a === undefined || a === null ? null : a + b);
const refused = (p) => sum(p.readsRefused, p.writesRefused);
const rate = (n) => (n === null ? none : `${short(n)}/s`);
// share never shows a failure as none, nor a success.
const share = (x) => `${x < 0.01 ? '<1' : x > 0.99 && x < 1 ? '>99' : Math.round(100 * x)} %`;

// measured says whose operations, errors and times are shown.
function measured({ now, scope, self }) {
  if (!now || now.reads === null || now.reads === undefined) return 'No measurements yet.';
  const what = 'Operations, errors and times are those of';
  const { members, reporting } = now;
  if (scope !== 'cluster') return `${what} ${self} alone, over get, is, set and rm: it knows of no others.`;
  if (members === 1) return `${what} ${self}, the only member, over get, is, set and rm.`;
  return `${what} the cluster, over get, is, set and rm: ${reporting === members ? `all ${members} members report` : `${reporting} of ${members} members ${reporting === 1 ? 'reports' : 'report'}, and what the others do is not known`}.`;
}

const figures = [
  { label: 'Operations', hint: 'Reads and writes that were answered in the last second', read: (p) => rate(sum(p.reads, p.writes)) },
  { label: 'Errors', hint: 'Reads and writes that were refused in the last second, and their share of all', read: (p) => rate(refused(p)),
    detail: (p) => (refused(p) > 0 ? `Errors, ${share(refused(p) / (refused(p) + sum(p.reads, p.writes)))}` : null),
    level: (p) => (refused(p) > 0 ? 'bad' : null) },
  { label: 'Typical (p50)', hint: 'Half of the requests that were answered in the last second took less', read: (p) => seconds(p.p50 ?? undefined) },
  { label: 'Slow (p99)', hint: 'One answered request in a hundred took longer', read: (p) => seconds(p.p99 ?? undefined) },
  { label: 'Keys', hint: 'Keys with a value, as the node that answers counts them', read: () => count(state.status?.keys) },
  { label: 'Memory', hint: 'Of keys and values on the node that answers', read: () => {
    const { bytes: used, maxBytes } = state.status ?? {};
    return maxBytes ? `${bytes(used)} of ${bytes(maxBytes)}` : bytes(used);
  } },
  { label: 'Conflicts settled', hint: 'Concurrent versions of a key that were met and settled by their tags, since the start', read: () => count(state.counts.sum('conflicts')) },
  { label: 'Repairs', hint: 'Reads that wrote a newer version back, hints replayed, and records copied, since the start', read: () => count(state.counts.sum('repairs')) },
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
        row('Gets', 'From its own copy, by quorum, or idle: nobody asks, so it holds no leases'),
        row('Own copy', 'Gets that it answered from its own copy, of all since its start; the others asked a quorum'),
        row('Waited', 'Sets and removes that waited at it for members that hold leases, since its start'),
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
    const how = readingOf(known.reading);
    set('Gets', how.word);
    mark(this.rows.get('Gets'), 'title', how.tell);
    const { alone, quorum, waited, waitedSeconds } = known.reading ?? {};
    set('Own copy', alone + quorum > 0 ? `${share(alone / (alone + quorum))} of ${short(alone + quorum)}` : none);
    set('Waited', waited > 0 ? `${count(waited)}, ${seconds(waitedSeconds)}` : count(waited));
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
  const reading = readingOf(known.reading);
  if (reading.fault) return reading.tell;
  if (!known.digest) return known.error ?? ' ';
  const counts = new Set(state.status.members.filter((m) => m.state === 'active').map((m) => m.name));
  const digests = [...state.holdings.values()].filter((x) => !x.error && counts.has(x.member)).map((x) => x.digest);
  if (digests.length < 2) return state.status.n === 1 ? 'It has the only copy.' : 'No other member can be compared with it.';
  return digests.every((d) => d === known.digest) ? 'Holds exactly what the others hold.' : 'Catching up (normal under writes).';
}
