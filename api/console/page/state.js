// This module holds what the page knows, from whichever nodes have answered. While the page is
// visible it is asked for anew every second.

import { read, readText, Problem } from './api.js';
import { Record } from './history.js';
import { Counts, parse } from './metrics.js';

const fresh = 6000; // for how many ms a node's report about itself counts
const eventsAsked = 50;

export const state = {
  status: null, // the last answer of /cluster
  reports: new Map(), // by node: {status, at}
  events: { by: '', list: [] }, // the last changes that one node has seen, the newest last
  holdings: new Map(), // by member's name
  record: new Record(),
  counts: new Counts(),
  problem: null, // why the last question had no answer
  color: (name) => state.names.indexOf(name) % 9,
  names: [], // of all members, ascending; a name's index gives its colour
};

// refresh asks once for all that the page shows. It never throws.
export async function refresh(withHoldings) {
  const [cluster, history, metrics, holdings] = await Promise.allSettled([
    read('/cluster', { events: eventsAsked }), read('/history', { since: state.record.since }), readText('/metrics'), withHoldings ? read('/console/api/holdings') : Promise.reject(),
  ]);
  const now = performance.now();
  if (cluster.status === 'fulfilled') {
    const status = { ...cluster.value, members: cluster.value.members ?? [] };
    state.problem = null;
    state.status = status;
    state.reports.set(status.self, { status, at: now });
    state.names = status.members.map((m) => m.name).sort();
  } else {
    state.problem = cluster.reason instanceof Problem ? cluster.reason : new Problem(0, 'The answer could not be read', cluster.reason?.message);
  }
  follow();
  for (const [name, report] of state.reports) if (now - report.at > fresh) state.reports.delete(name);
  if (history.status === 'fulfilled') state.record.add(history.value, now);
  else state.record.gap(now);
  if (metrics.status === 'fulfilled') state.counts.add(parse(metrics.value), state.status, now);
  if (withHoldings) state.holdings = new Map(holdings.status === 'fulfilled' ? (holdings.value ?? []).map((x) => [x.member, x]) : []);
}

// follow takes over the events of the node that answered. Each node has seen the changes by itself,
// so behind a balancer the page stays with one node for as long as that one answers.
function follow() {
  const { status } = state;
  if (status && (status.self === state.events.by || !state.reports.has(state.events.by))) {
    state.events = { by: status.self, list: status.events ?? [] };
  }
}

// about gathers what is known of a member: its own report, what the others measure, and what it
// holds.
export function about(member) {
  const own = state.reports.get(member.name)?.status;
  const seen = [...state.reports.values()].filter((r) => r.status.self !== member.name)
    .map((r) => r.status.members.find((m) => m.name === member.name)).filter(Boolean);
  const rtts = seen.map((m) => m.rttMicros).filter(Boolean);
  const holding = state.holdings.get(member.name);
  const known = holding && !holding.error;
  const records = (x) => x.keys + x.tombstones;
  const most = Math.max(0, ...[...state.holdings.values()].filter((x) => !x.error && x.member !== member.name).map(records));
  return {
    keys: own?.keys ?? (known ? holding.keys : undefined),
    epoch: own?.epoch ?? (known ? state.status.epoch : undefined),
    bytes: own?.bytes,
    hints: seen.length ? seen.reduce((n, m) => n + m.hints, 0) : undefined,
    rtt: rtts.length ? Math.min(...rtts) / 1e6 : undefined,
    sync: own?.members.find((m) => m.name === member.name)?.sync,
    // A node tells of itself alone how it answers reads.
    reading: own?.members.find((m) => m.name === member.name)?.reading,
    // share is relative to what the fullest other member holds.
    share: known && most ? Math.min(1, records(holding) / most) : undefined,
    digest: known ? holding.digest : undefined,
    error: holding?.error,
    answered: Boolean(own),
  };
}

// nameOf returns the name of the member with this incarnation.
export const nameOf = (incarnation) => state.status?.members.find((m) => m.incarnation === incarnation)?.name;
