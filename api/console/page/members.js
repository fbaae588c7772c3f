// The changes of the members, each with a preview before it is made, and the clear.

import { dialog, h, mark, text, toast } from './dom.js';
import { change } from './api.js';
import { count, percent } from './format.js';
import { stateOf, troubleOf } from './health.js';
import { basis, join, leave } from './plan.js';
import { state } from './state.js';

const controlTime = 125000; // in ms: a join or a leave moves data

export class Members {
  constructor() {
    this.rows = h('tbody');
    this.peer = h('input', { name: 'peer', id: 'peer', autocomplete: 'off', spellcheck: 'false', placeholder: 'host:port', required: true });
    this.joinButton = h('button', { id: 'join', class: 'primary' }, 'Preview the join');
    this.joinWhy = h('p', { class: 'muted' });
    this.grow = h('div', { class: 'stack' });
    this.element = h('section', { 'aria-label': 'Members' },
      h('div', { class: 'panel' }, h('header', null, h('h2', null, 'Members')),
        h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Members' }, h('table', { class: 'roster' },
          h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Name'), h('th', { scope: 'col' }, 'State'), h('th', { scope: 'col', class: 'wide' }, 'Peer address'), h('th', { scope: 'col', class: 'num wide' }, 'Ring share'), h('th', { scope: 'col' }, h('span', { class: 'hidden' }, 'Action')))),
          this.rows))),
      h('div', { class: 'split' }, h('div', { class: 'stack apart' },
        h('div', { class: 'panel stack' }, h('h2', null, 'Join'), this.joinWhy,
          h('form', { class: 'row', onsubmit: (e) => { e.preventDefault(); this.askJoin(); } },
            h('label', null, h('span', null, 'Peer address of a member of the mesh'), this.peer), this.joinButton)),
        h('div', { class: 'panel stack' }, h('h2', null, 'Clear'),
          h('p', { class: 'muted' }, 'Removes every key on every member, at once and for good.'),
          h('div', null, h('button', { type: 'button', id: 'clear', class: 'danger', onclick: () => this.askClear() }, 'Clear the store…')))),
      h('div', { class: 'panel stack' }, h('h2', null, 'Preview: add a member'), this.grow)));
    this.shown = new Map();
  }

  update() {
    const status = state.status;
    if (!status) return;
    const mesh = status.mode === 'mesh';
    for (const m of status.members) {
      let row = this.shown.get(m.name);
      if (!row) {
        row = new Row(m.name, () => this.askLeave(m.name));
        this.shown.set(m.name, row);
        this.rows.append(row.element);
      }
      row.update(m, mesh);
    }
    for (const [name, row] of this.shown) {
      if (!status.members.some((m) => m.name === name)) { row.element.remove(); this.shown.delete(name); }
    }
    const alone = mesh && status.n <= 1 && status.state !== 'joining';
    this.joinButton.disabled = this.peer.disabled = !alone;
    text(this.joinWhy, !mesh ? `The nodes keep their data in a database (${status.mode}): any number may serve it, and none joins or leaves.`
      : status.state === 'joining' ? `${status.self} is joining: ${status.reason}`
        : alone ? `${status.self} is alone. It can join a mesh, and brings the ${count(status.keys)} keys that it holds along.`
          : `${status.self} is one of ${status.n} members. To add another, open the console of that node and give it ${status.members.find((m) => m.name === status.self)?.peer ?? 'a peer address from above'} here.`);
    if (mesh) this.planJoin(basis(status));
    else text(this.grow, 'There are no quorums: the database replicates.');
  }

  // planJoin shows what one more member would do. It asks again only when the members have changed.
  async planJoin(on) {
    if (on === this.plannedOn) return;
    this.plannedOn = on;
    try {
      const p = await join();
      if (on === this.plannedOn) this.grow.replaceChildren(...preview(p));
    } catch (error) {
      if (on !== this.plannedOn) return;
      this.plannedOn = null; // the next update asks again
      text(this.grow, error.message);
    }
  }

  async askLeave(name) {
    if (this.asking) return; // one dialog, even if the button is pressed again meanwhile
    this.asking = true;
    let p;
    try {
      p = await leave(name);
    } catch (error) {
      toast(error.message);
      return;
    } finally {
      this.asking = false;
    }
    const { go } = dialog({
      title: `Let ${name} leave?`, action: 'Leave', danger: true,
      body: h('div', { class: 'stack' }, h('p', { class: 'muted' }, 'Its keys stay: every member holds all of them. The cluster is sealed at the new size and settled before this returns.'), ...preview(p)),
      confirm: async () => {
        const report = JSON.parse(await change('/leave', { node: name }, controlTime));
        toast(`${name} has left at epoch ${report.epoch}.`);
      },
    });
    go.disabled = !p.possible;
  }

  askJoin() {
    const peer = this.peer.value.trim();
    const { self, keys } = state.status;
    dialog({
      title: `Let ${self} join ${peer}?`, action: 'Join',
      body: h('div', { class: 'stack' },
        h('p', { class: 'muted' }, `The ${count(keys)} keys of ${self} are brought along as concurrent writes: where both have a key, the higher tag wins. With majorities, the mesh then has:`),
        table(['Mesh of', 'N', 'R', 'W', 'failures tolerated'], [1, 2, 3, 4].map((n) => {
          const q = Math.floor((n + 1) / 2) + 1;
          return [n, n + 1, q, q, n + 1 - q];
        })),
        h('p', { class: 'note' }, 'While it joins, the quorum of the mesh stays what it is. A join that fails leaves both as they were.')),
      confirm: async () => {
        await change('/join', { peer }, controlTime);
        this.peer.value = '';
        toast(`${self} is a member now.`);
      },
    });
  }

  askClear() {
    const word = h('input', { name: 'word', id: 'word', autocomplete: 'off', spellcheck: 'false', oninput: () => { parts.go.disabled = word.value !== 'clear'; } });
    const parts = dialog({
      title: 'Clear the whole store?', action: 'Clear', danger: true,
      body: h('div', { class: 'stack' },
        h('p', { class: 'note', 'data-level': 'bad' }, `${count(state.status?.keys)} keys will be gone on all ${count(state.status?.n || 1)} members. There is no way back.`),
        h('label', null, h('span', null, 'Type clear to confirm'), word)),
      confirm: async () => {
        await change('/clear', {}, controlTime);
        toast('The store is empty.');
      },
    });
    parts.go.disabled = true;
  }
}

class Row {
  constructor(name, ask) {
    this.badge = h('span', { class: 'badge' });
    this.trouble = h('p', { class: 'muted small' });
    this.swatch = h('i', { class: 'swatch' });
    this.peer = h('td', { class: 'mono wide' });
    this.share = h('td', { class: 'num wide' });
    this.button = h('button', { type: 'button', class: 'danger', 'aria-label': `Leave: ${name}`, onclick: ask }, 'Leave…');
    this.element = h('tr', { 'data-member': name }, h('td', null, h('span', { class: 'key' }, this.swatch, h('span', { class: 'wrap' }, name))), h('td', null, this.badge, this.trouble), this.peer, this.share, h('td', { class: 'act' }, this.button));
  }

  update(member, mesh) {
    const { word, level } = stateOf(member);
    text(this.badge, word);
    mark(this.badge, 'data-level', level);
    text(this.trouble, troubleOf(member));
    mark(this.swatch, 'data-m', String(state.color(member.name)));
    text(this.peer, member.peer || '–');
    text(this.share, percent(member.ownership));
    this.button.disabled = !mesh;
  }
}

// preview shows a plan: before, after, and whether a quorum remains.
function preview(p) {
  const rows = [['Members (N)', 'n'], ['Serving', 'serving'], ['Read quorum (R)', 'r'], ['Write quorum (W)', 'w'], ['Failures tolerated, reads', 'readFailures'], ['Failures tolerated, writes', 'writeFailures']];
  const spare = Math.min(p.after.readFailures, p.after.writeFailures);
  return [
    table(['', 'now', 'after'], rows.map(([label, field]) => [label, p.now[field], p.after[field]])),
    ...(p.notes ?? []).map((n) => h('p', { class: 'muted small' }, `${n[0].toUpperCase()}${n.slice(1)}.`)),
    p.possible ? h('p', { class: 'note', 'data-level': spare ? 'good' : 'warn' }, `A quorum remains. ${spare ? `Failures tolerated: ${spare}` : 'No failure is tolerated any more'}.`)
      : h('p', { class: 'note', 'data-level': 'bad' }, `It would be refused: ${p.reason}.`),
    ...(p.mayLose ? [h('p', { class: 'note', 'data-level': 'warn' }, `By force, ${p.mayLose}.`)] : []),
  ];
}

function table(heads, rows) {
  return h('table', { class: 'now-after' },
    h('thead', null, h('tr', null, heads.map((c) => h('th', { scope: 'col' }, c)))),
    h('tbody', null, rows.map((r) => h('tr', null, r.map((c) => h('td', null, String(c)))))));
}
