// This module puts the health of a node's /cluster into words. The node has judged; nothing here
// judges anew. It is pure.

import { moment } from './format.js';

const levels = { serving: 'good', degraded: 'warn', 'reads only': 'bad', refusing: 'bad' };
const capital = (s) => s.charAt(0).toUpperCase() + s.slice(1);
const sentence = (s) => (/[.!?]$/.test(s) ? capital(s) : `${capital(s)}.`);

// light returns {level, title, since, why, next, more}: the verdict of the node that answers, its
// reason, what to do, and further sentences.
export function light(status) {
  const { health } = status;
  return {
    level: levels[health.verdict] ?? 'bad',
    title: capital(health.verdict),
    since: health.since ? `since ${moment(health.since)}` : '',
    why: sentence(health.reason),
    next: health.next ?? '',
    more: more(status),
  };
}

// more returns what else the document says, a sentence each.
function more({ health, n, r, w, weak, unsettled, warnings }) {
  return [
    health.mayLose && `If those that do not answer never come back, ${health.mayLose}.`,
    unsettled && `The size changes: ${unsettled}.`,
    weak && `R=${r} and W=${w} of ${n} do not overlap: reads may miss acknowledged writes.`,
    ...(warnings ?? []).map(sentence),
    health.verdict === 'serving' && n === 1 && 'Its loss would lose its keys. Two more members would tolerate a failure.',
    health.verdict === 'serving' && n > 1 && borne(health) === 0 && 'No failure is tolerated: a loss stops the service, and loses nothing.',
  ].filter(Boolean);
}

const borne = (health) => Math.min(health.readFailures, health.writeFailures);

// failures returns how many more failures reads and writes tolerate, of a node in a mesh.
export function failures({ health, n }) {
  if (!n) return '–';
  if (!health.canRead) return 'refused now';
  return `${health.readFailures} (reads), ${health.canWrite ? health.writeFailures : 'refused'} (writes)`;
}

// reaches has, for each reach other than "answers", the badge of an active member and its sentence
// with the time since when it is so.
const reaches = {
  unheard: { word: 'not heard of yet', level: 'warn', tell: () => 'Nothing was heard of it yet.' },
  silent: { word: 'silent', level: 'bad', tell: (t) => `No answer since ${t}.` },
  'no connection': { word: 'no connection', level: 'bad', tell: (t) => `No connection since ${t}.` },
  restarted: { word: 'restarted, empty', level: 'bad', tell: (t) => `Another process has answered in its place since ${t}: its memory is lost.` },
  elsewhere: { word: 'elsewhere', level: 'bad', tell: (t) => `Not in this cluster any more since ${t}, or another node answers at its address.` },
};

// stateOf returns what a member's badge shows: {word, level}. That of an active member depends on
// whether its own process answers.
export function stateOf(member) {
  switch (member.state) {
    case 'active': return reaches[member.reach] ?? { word: 'active', level: 'good' };
    case 'vacant': return { word: 'gone', level: 'bad' };
    default: return { word: member.state, level: 'warn' };
  }
}

// readingOf puts how a node answers gets into words: {word, tell}. tell is a sentence with since when
// and why. It has a fault where leases are wanted and too few count; an idle node holds none.
export function readingOf(reading) {
  if (!reading) return { word: '–', tell: '', fault: false };
  const { state, why, since } = reading;
  if (state === 'alone') return { word: 'own copy', tell: `From its own copy since ${moment(since)}.`, fault: false };
  const word = { idle: 'idle', setting: 'by quorum', 'weak quorums': 'by quorum', 'catching up': 'catching up' }[why] ?? 'by quorum';
  return { word, tell: `Gets by quorum since ${moment(since)}: ${reading.reason}.`, fault: why === 'too few leases' || why === 'catching up' };
}

// troubleOf says what is wrong with the reach of a member that should answer, and since when. It
// is empty where nothing is.
export function troubleOf(member) {
  if (member.state === 'vacant') return 'It is gone. Its place waits for it to come back and rebuild.';
  return reaches[member.reach]?.tell(moment(member.since)) ?? '';
}
