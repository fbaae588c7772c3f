// The timeline: the last changes that a node has seen, the newest first.

import { h, mark, text } from './dom.js';
import { moment } from './format.js';
import { state } from './state.js';

// levels has the level of each kind of event that has one.
const levels = {
  serving: 'good', degraded: 'warn', 'reads-only': 'bad', refusing: 'bad',
  forked: 'warn', 'no-leader': 'warn', cleared: 'warn',
  'member-joined': 'good', 'member-rebuilding': 'warn', 'member-rebuilt': 'good', 'member-gave-up': 'warn', 'member-gone': 'bad',
  'member-answers': 'good', 'member-silent': 'bad', 'member-no-connection': 'bad', 'member-restarted': 'bad', 'member-elsewhere': 'bad',
};

const all = '*'; // no member has this name
const cluster = '';
const labels = { [all]: 'everything', [cluster]: 'the cluster' };

// Events shows them in a list with a scroll bar of its own, so that nothing around it moves. Who
// reads further down stays where they are when newer events come.
export class Events {
  constructor() {
    this.member = h('select', { onchange: () => { this.chosen = this.member.value; this.update(); } });
    this.chosen = all;
    this.by = h('span', { class: 'muted small' });
    this.list = h('ol', { class: 'events', reversed: true, 'aria-label': 'Events, the newest first' });
    this.none = h('p', { class: 'empty' });
    this.box = h('div', { class: 'timeline', tabindex: 0, role: 'region', 'aria-label': 'Events' }, this.list, this.none);
    this.element = h('div', { class: 'panel', id: 'events' },
      h('header', null, h('h2', null, 'Events'), this.by,
        h('label', { class: 'push inline' }, h('span', null, 'Show'), this.member)),
      this.box);
    this.shown = new Map(); // by sequence
    this.options();
  }

  update() {
    const { by, list } = state.events;
    if (by !== this.node) { // another node counts its events on its own
      this.node = by;
      this.clear();
    }
    text(this.by, by ? `as ${by} has seen them` : '');
    this.options();
    const wanted = list.filter((e) => this.chosen === all || (e.member ?? cluster) === this.chosen);
    const keep = new Set(wanted.map(identity));
    const height = this.box.scrollHeight;
    for (const [key, row] of this.shown) {
      if (!keep.has(key)) { row.element.remove(); this.shown.delete(key); }
    }
    let before = null;
    for (const e of wanted) { // from the oldest, so that each goes in front of the one before it
      let row = this.shown.get(identity(e));
      if (!row) {
        row = new Row(e);
        this.shown.set(identity(e), row);
        this.list.insertBefore(row.element, before);
      }
      row.color();
      before = row.element;
    }
    if (this.box.scrollTop > 0) this.box.scrollTop += this.box.scrollHeight - height;
    this.list.hidden = !wanted.length;
    this.none.hidden = Boolean(wanted.length);
    text(this.none, list.length ? `None of the last ${list.length} events is about ${labels[this.chosen] ?? this.chosen}.`
      : 'No events. A node notes each change of its members, and of what becomes of requests.');
  }

  clear() {
    this.list.replaceChildren();
    this.shown.clear();
    this.box.scrollTop = 0;
  }

  // options offers all members that there are, or that an event is about.
  options() {
    const names = new Set([...state.names, ...state.events.list.map((e) => e.member).filter(Boolean)]);
    const values = [all, cluster, ...[...names].sort()];
    if (values.join('\n') === this.offered) return;
    this.offered = values.join('\n');
    this.member.replaceChildren(...values.map((v) => h('option', { value: v }, labels[v] ?? v)));
    if (!values.includes(this.chosen)) this.chosen = all;
    this.member.value = this.chosen;
  }
}

// identity tells an event from those of the same node, a restarted one included.
const identity = (e) => `${e.sequence} ${e.at}`;

class Row {
  constructor(e) {
    this.member = e.member;
    this.swatch = e.member ? h('i', { class: 'swatch' }) : null;
    const kind = e.name.replace(/^member-/, '').replaceAll('-', ' ');
    // The badge says already what the sentence begins with.
    const told = e.text.startsWith(`${kind}: `) ? e.text.slice(kind.length + 2) : e.text;
    this.element = h('li', { 'data-event': e.name, 'data-member': e.member },
      h('time', { datetime: e.at, class: 'mono' }, moment(e.at)),
      h('span', null, h('span', { class: 'badge', 'data-level': levels[e.name] }, kind)),
      h('span', { class: 'told' }, this.swatch, h('span', { class: 'wrap' }, told)));
  }

  // color gives the swatch its member's colour, which changes when members come and go.
  color() {
    if (state.names.includes(this.member)) mark(this.swatch, 'data-m', String(state.color(this.member)));
    else this.swatch?.removeAttribute('data-m');
  }
}
