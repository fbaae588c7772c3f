// Works out what a change of the members would do, by what one node knows. Pure. The cluster decides anew when it is asked.

import { serving } from './health.js';

// quorumOf is what becomes of a quorum of q among n when there are next members: a majority stays one, all stays all, a number stays.
function quorumOf(q, n, next) {
  if (q === Math.floor(n / 2) + 1) return Math.floor(next / 2) + 1;
  if (q === n) return next;
  return Math.min(q, next);
}

const strength = (n, up, r, w) => ({ n, serving: up, r, w, reads: Math.max(0, up - r), writes: Math.max(0, up - w) });

function plan(status, n, up) {
  const now = strength(status.n, serving(status), status.r, status.w);
  const after = strength(n, up, quorumOf(status.r, status.n, n), quorumOf(status.w, status.n, n));
  const p = { now, after, refused: null, notes: [] };
  if (!status.n) p.refused = `${status.self} is no member of a cluster yet.`;
  else if (status.unsettled) p.refused = `Another change is not settled yet: ${status.unsettled}.`;
  else if (now.serving < Math.max(status.w, Math.floor(status.n / 2) + 1)) p.refused = `Only ${now.serving} of ${status.n} members serve now; the cluster cannot agree on a change.`;
  else if (n > 0 && after.r + after.w <= n && !status.weak) p.refused = `R=${after.r} and W=${after.w} of ${n} would not overlap: reads could miss acknowledged writes.`;
  if (n % 2 === 0 && n > 0 && after.r === n / 2 + 1) p.notes.push(`${n} members survive no more failures than ${n - 1}.`);
  return p;
}

export const join = (status) => plan(status, status.n + 1, serving(status) + 1);

export function leave(status, name) {
  const p = plan(status, status.n - 1, serving(status, name));
  const copies = status.n - status.w + 1; // so many of those that stay hold every acknowledged write
  if (status.n === 1) p.refused = 'It is the last member: its keys would be lost.';
  else if (!p.refused && (p.after.serving < p.after.w || p.after.serving < copies)) {
    p.refused = `${p.after.serving} of the ${p.after.n} members that stay serve; writes need ${p.after.w} and the hand-over ${copies}. Bring others back first.`;
  }
  return p;
}
