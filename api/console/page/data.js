// The data browser: pages of pairs by prefix, one key in detail, and what each replica holds of it.

import { h, text, toast, dialog } from './dom.js';
import { change, page, read } from './api.js';
import { ordinal } from './format.js';
import { newest, tag, vector, verdict } from './explain.js';

const limit = 25;

export class Data {
  constructor() {
    this.prefix = h('input', { name: 'prefix', autocomplete: 'off', spellcheck: 'false', maxlength: 128, placeholder: 'all keys' });
    this.list = h('ul', { class: 'pairlist', 'aria-label': 'Keys' });
    this.back = h('button', { type: 'button', onclick: () => this.turn(-1) }, 'Previous');
    this.next = h('button', { type: 'button', onclick: () => this.turn(1) }, 'Next');
    this.where = h('span', { class: 'muted small', 'aria-live': 'polite' });
    this.key = h('input', { name: 'key', id: 'new-key', autocomplete: 'off', spellcheck: 'false', required: true });
    this.value = h('input', { name: 'value', id: 'new-value', autocomplete: 'off', spellcheck: 'false' });
    this.detail = h('div', { class: 'panel detail', 'aria-live': 'polite' });
    this.element = h('section', { 'aria-label': 'Data' }, h('div', { class: 'split' },
      h('div', { class: 'stack' },
        h('form', { class: 'panel row', onsubmit: (e) => { e.preventDefault(); this.set(this.key.value, this.value.value); } },
          h('label', null, h('span', null, 'Key, 1 to 64 characters'), this.key), h('label', null, h('span', null, 'Value, up to 256 characters'), this.value),
          h('button', { class: 'primary', id: 'new-set' }, 'Set')),
        h('div', { class: 'panel stack' },
          h('form', { class: 'row', role: 'search', onsubmit: (e) => { e.preventDefault(); this.restart(); } },
            h('label', null, h('span', null, 'Keys that begin with'), this.prefix), h('button', { id: 'search' }, 'Show')),
          this.list,
          h('div', { class: 'row' }, this.where, h('div', { class: 'buttons push' }, this.back, this.next)))),
      this.detail));
    this.cursors = [''];
    this.at = 0;
    this.describe();
  }

  show() { this.load(); }

  update() {}

  restart() {
    this.cursors = [''];
    this.at = 0;
    return this.load();
  }

  turn(by) {
    this.at += by;
    return this.load();
  }

  // load shows the page at the present cursor. It drops an answer that arrives after another page
  // was asked for.
  async load() {
    const ticket = (this.ticket = {});
    this.back.disabled = this.next.disabled = true;
    try {
      const { pairs, cursor } = await page(this.prefix.value, this.cursors[this.at], limit);
      if (ticket !== this.ticket) return;
      this.cursors.length = this.at + 1;
      if (cursor) this.cursors.push(cursor);
      this.list.replaceChildren(...(pairs.length ? pairs.map((p) => this.row(p)) : [h('li', { class: 'empty' }, this.prefix.value ? 'No key begins with that.' : 'No keys yet: set one above.')]));
      text(this.where, pairs.length ? `Page ${this.at + 1}, in the order of the store` : '');
      this.choose();
    } catch (error) {
      if (ticket !== this.ticket) return;
      this.list.replaceChildren(h('li', { class: 'empty' }, error.message));
    }
    this.back.disabled = this.at === 0;
    this.next.disabled = this.at + 1 >= this.cursors.length;
  }

  row({ key, value }) {
    return h('li', null, h('button', { type: 'button', onclick: () => this.describe(key) }, h('span', { class: 'mono' }, key), h('span', { class: 'muted mono' }, value)));
  }

  choose() {
    for (const b of this.list.querySelectorAll('button')) {
      if (b.firstChild.textContent === this.chosen) b.setAttribute('aria-current', 'true');
      else b.removeAttribute('aria-current');
    }
  }

  async set(k, v) {
    try {
      await change('/set', { k, v });
      toast(`${k} is set.`);
      this.key.value = this.value.value = '';
      await Promise.all([this.load(), this.describe(k)]);
    } catch (error) {
      toast(error.outcome === 'unknown' ? `${error.message}. The write may have taken effect.` : error.message, 'bad');
    }
  }

  remove(k) {
    dialog({
      title: 'Remove the key?', action: 'Remove', danger: true,
      body: h('p', { class: 'wrap' }, h('span', { class: 'mono' }, k), ' and its value will be gone on all members.'),
      confirm: async () => {
        await change('/rm', { k });
        toast(`${k} is removed.`);
        await Promise.all([this.load(), this.describe(k)]);
      },
    });
  }

  // describe shows one key, or a hint to choose one.
  async describe(k) {
    this.chosen = k;
    this.choose();
    if (k === undefined) {
      this.detail.replaceChildren(h('h2', null, 'A key in detail'), h('p', { class: 'muted' }, 'Choose a key to see its value, what its version means, and what each replica holds.'));
      return;
    }
    // The copies are read first: the get repairs what differs.
    const [held] = await Promise.allSettled([read('/console/api/copies', { k })]);
    const [got] = await Promise.allSettled([read('/get', { k })]);
    if (this.chosen !== k) return;
    const value = got.status === 'fulfilled' ? got.value.value : null;
    const area = h('textarea', { id: 'value', spellcheck: 'false', rows: 3 });
    area.value = value ?? '';
    this.detail.replaceChildren(
      h('h2', { class: 'wrap' }, k),
      got.status === 'rejected' && h('p', { class: 'note', 'data-level': got.reason.status === 404 ? '' : 'bad' }, got.reason.status === 404 ? 'The key has no value.' : got.reason.message) || '',
      h('form', { class: 'stack', onsubmit: (e) => { e.preventDefault(); this.set(k, area.value); } },
        h('label', null, h('span', null, 'Value'), area),
        h('div', { class: 'buttons' },
          h('button', { type: 'button', onclick: () => this.describe(k) }, 'Get'),
          h('button', { type: 'button', class: 'danger', id: 'remove', disabled: value === null, onclick: () => this.remove(k) }, 'Remove'),
          h('button', { class: 'primary' }, 'Set'))),
      ...(held.status === 'fulfilled' ? this.replicas(held.value) : [h('p', { class: 'muted' }, held.reason.message)]));
  }

  replicas({ copies, partition }) {
    const best = newest(copies ?? []);
    return [
      best && h('div', { class: 'stack' },
        h('h3', null, 'Version ', h('span', { class: 'mono' }, best.tag)),
        h('ul', { class: 'explained' }, tag(best.version).map((line) => h('li', null, line)), h('li', null, vector(best.vector)))) || '',
      h('div', null, h('h3', null, `What each replica holds (partition ${partition})`),
        h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Replicas' }, h('table', { class: 'copies' },
          h('thead', null, h('tr', null, ['Member', 'Tag', 'Value', ''].map((c) => h('th', { scope: 'col' }, c)))),
          h('tbody', null, (copies ?? []).map((c, i) => {
            const v = verdict(c, best);
            return h('tr', null,
              h('td', null, c.member, h('div', { class: 'muted small' }, i === 0 ? 'owner' : `${ordinal(i)} choice`)),
              h('td', { class: 'mono' }, c.tag ?? '–'),
              h('td', { class: 'mono value' }, c.error ?? c.value ?? '–'),
              h('td', null, h('span', { class: 'badge', 'data-level': v.level }, v.word)));
          })))),
        h('p', { class: 'muted small' }, 'Asked of each member just before the value above was read: that read repairs what differs.')),
    ];
  }
}
