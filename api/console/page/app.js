// The page: which view is shown, the light above it, and the clock.

import { dialog, h, mark, prose, text, toast } from './dom.js';
import { setToken, token } from './api.js';
import { count } from './format.js';
import { failures, light } from './health.js';
import { refresh, state } from './state.js';
import { Overview } from './overview.js';
import { Ring } from './ring.js';
import { Data } from './data.js';
import { Members } from './members.js';

const period = 1000; // between two questions, in ms
const views = { overview: new Overview(), ring: new Ring(), data: new Data(), members: new Members() };
const main = document.getElementById('main');
const $ = (id) => document.getElementById(id);
for (const view of Object.values(views)) {
  view.element.hidden = true;
  main.append(view.element);
}

let current;
function route() {
  const name = location.hash.slice(1) in views ? location.hash.slice(1) : 'overview';
  if (current === views[name]) return;
  current = views[name];
  for (const view of Object.values(views)) view.element.hidden = view !== current;
  for (const a of document.querySelectorAll('.top nav a')) {
    if (a.hash === `#${name}`) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  document.title = `viakv · ${name}`;
  current.show?.();
  current.update();
}

const facts = [
  { label: 'Failures tolerated', read: failures },
  { label: 'Members', read: (s) => count(s.n) },
  { label: 'R', read: (s) => count(s.r) },
  { label: 'W', read: (s) => count(s.w) },
  { label: 'Reads', read: (s) => (s.reads ? `by ${s.reads}` : '–') },
  { label: 'Epoch', read: (s) => count(s.epoch) },
].map((f) => ({ ...f, value: h('dd', null, '–') }));
facts.forEach((f) => $('facts').append(h('div', null, h('dt', null, f.label), f.value)));

let silentSince = null;
function showLight() {
  let now;
  const p = state.problem;
  if (!p) {
    silentSince = null;
    now = light(state.status);
  } else if (p.status === 401 || p.status === 403) {
    now = { level: 'warn', title: 'A token is needed', why: 'This cluster asks for a bearer token. Give one with the role read, write or admin.' };
  } else {
    silentSince ??= performance.now();
    now = { level: 'bad', title: 'No answer', why: `${p.message}. Asked again every second, for ${Math.round((performance.now() - silentSince) / 1000)} s now.` };
  }
  mark($('light'), 'data-level', now.level);
  text($('light-title'), now.title);
  text($('light-since'), now.since ?? '');
  prose($('light-why'), now.why);
  $('light-next').hidden = !now.next;
  prose($('light-next'), now.next ? `Next: ${now.next}.` : '');
  prose($('light-more'), (now.more ?? []).join(' '));
  const s = state.status;
  text($('self'), s?.self ?? '…');
  for (const f of facts) text(f.value, s ? f.read(s) : '–');
}

async function tick() {
  const began = performance.now();
  if (!document.hidden) {
    await refresh(current === views.overview);
    showLight();
    current.update();
    if (state.problem?.status === 401 && !asked) askToken();
  }
  setTimeout(tick, Math.max(100, period - (performance.now() - began)));
}

let asked = false;
function askToken() {
  asked = true;
  const input = h('input', { type: 'password', name: 'token', autocomplete: 'off', spellcheck: 'false', value: token() });
  dialog({
    title: 'Bearer token',
    body: h('div', null,
      h('label', null, h('span', null, 'Token, empty to forget it'), input),
      h('p', { class: 'muted small' }, 'Kept for this tab alone, and gone when the tab is closed.')),
    action: 'Use it',
    confirm: () => {
      setToken(input.value.trim());
      asked = !input.value.trim();
      text($('token'), token() ? 'Token set' : 'Token');
      toast(token() ? 'The token is used from now on.' : 'The token is forgotten.');
    },
  });
}
$('token').addEventListener('click', askToken);
if (token()) text($('token'), 'Token set');

window.addEventListener('hashchange', route);
route();
tick();
