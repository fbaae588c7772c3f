// Asks the node what a change of the members would do. The node works it out, here as for the command line: it knows how the quorums
// were configured. The cluster decides anew when it is asked for the change.

import { read } from './api.js';

export const join = () => read('/plan', { change: 'join' });
export const leave = (node) => read('/plan', { change: 'leave', node });

// basis is what a plan follows from: while it stays the same, so does the plan.
export function basis(status) {
  const { epoch, n, r, w, state, unsettled, members } = status;
  return JSON.stringify([epoch, n, r, w, state, unsettled, members.map((m) => [m.name, m.state, m.reachable])]);
}
