// This module puts a record's tag and version vector into words. It is pure, but for the names of
// the members.

import { count } from './format.js';
import { nameOf } from './state.js';

const writer = (incarnation) => nameOf(incarnation) ?? `a process that is gone (incarnation ${incarnation})`;

// tag explains a tag, in one sentence for each part.
export function tag(v) {
  return [
    v.generation === 0 ? 'Generation 0: the store was never cleared.' : `Generation ${v.generation}: written after clear number ${v.generation}; whatever is older is gone.`,
    `Counter ${count(v.counter)}: a logical counter, ahead of every version that the write had seen.`,
    `Incarnation ${v.incarnation}: written through ${writer(v.incarnation)}. It breaks the tie between equal counters.`,
    ...(v.removed ? ['✗: a tombstone. The key was removed, and this remembers it until all members know.'] : []),
  ];
}

// vector explains what the write had seen.
export function vector(entries) {
  if (!entries?.length) return 'Its version vector is empty: the write had seen no version by another process, so it overwrote nobody else’s.';
  return `Its version vector says that the write had seen the versions of ${entries.map((e) => `${writer(e.incarnation)} up to ${count(e.counter)}`).join(', ')}. A version that is not covered by it was written at the same time: a conflict, which the higher tag wins.`;
}

function compare(a, b) {
  return a.generation - b.generation || a.counter - b.counter || a.incarnation - b.incarnation || Number(a.removed) - Number(b.removed);
}

// newest returns the copy with the highest tag.
export function newest(copies) {
  return copies.filter((c) => c.version).reduce((best, c) => (!best || compare(c.version, best.version) > 0 ? c : best), null);
}

// verdict says how a copy compares with the newest.
export function verdict(copy, best) {
  if (copy.error) return { level: 'bad', word: 'no answer' };
  if (!best) return { level: '', word: 'nothing' };
  if (!copy.version) return { level: 'warn', word: 'has missed it' };
  if (copy.tag === best.tag) return { level: 'good', word: copy.version.removed ? 'removed' : 'newest' };
  const seen = best.version.incarnation === copy.version.incarnation
    || (best.vector ?? []).some((e) => e.incarnation === copy.version.incarnation && e.counter >= copy.version.counter);
  return seen ? { level: 'warn', word: 'older' } : { level: 'warn', word: 'conflict, lost' };
}
