// This module reads from /metrics what no other answer has: counts since the start of whichever
// node answers.

const wanted = /^(viakv_(conflicts_settled_total|read_repairs_total|sync_keys_total|hints_replayed_total|member_reachable)|process_start_time_seconds)(?:\{(.*)\})? (\S+)$/gm;

// parse returns the series that the console shows.
export function parse(body) {
  const sample = { others: [], repairs: 0 };
  for (const [, name, , labelText, value] of body.matchAll(wanted)) {
    const v = Number(value);
    switch (name) {
      case 'viakv_member_reachable': sample.others.push(/member="([^"]*)"/.exec(labelText)?.[1]); break;
      case 'viakv_conflicts_settled_total': sample.conflicts = v; break;
      case 'viakv_read_repairs_total': case 'viakv_hints_replayed_total': case 'viakv_sync_keys_total':
        sample.repairs += v; break;
      case 'process_start_time_seconds': sample.started = v; break;
    }
  }
  return sample;
}

// nodeOf returns the name of the node whose metrics these are: a node's metrics list all members
// but itself.
function nodeOf(sample, status) {
  const left = (status?.members ?? []).filter((m) => !sample.others.includes(m.name));
  return left.length === 1 ? left[0].name : `process ${sample.started}`;
}

const fresh = 6000; // in ms: behind a balancer each node answers only now and then

// Counts keeps the last sample of each node that has answered of late.
export class Counts {
  constructor() { this.nodes = new Map(); }

  // add takes a sample, from a node with this status, at a time in ms.
  add(sample, status, now) {
    this.nodes.set(nodeOf(sample, status), { sample, at: now });
    for (const [name, e] of this.nodes) if (now - e.at > fresh) this.nodes.delete(name);
  }

  // sum adds up a field over the nodes.
  sum(field) {
    let total;
    for (const e of this.nodes.values()) if (e.sample[field] !== undefined) total = (total ?? 0) + e.sample[field];
    return total;
  }
}
