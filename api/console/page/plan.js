// This module asks the node what a change of the members would do. The node works it out, as for
// the command line, because it knows how the quorums were configured. The cluster decides anew when
// the change is asked for.

import { read } from './api.js';

export const join = () => read('/plan', { change: 'join' });
export const leave = (node) => read('/plan', { change: 'leave', node });

// basis returns what a plan follows from: while the basis stays the same, so does the plan.
export function basis(status) {
  const { epoch, n, r, w, state, unsettled, members, health } = status;
  return JSON.stringify([epoch, n, r, w, state, unsettled, health.reason, health.canChange, members.map((m) => [m.name, m.state, m.reach])]);
}
