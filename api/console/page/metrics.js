// This module turns the /metrics of whichever node answers into rates. It never subtracts counters
// of different processes from each other.

const wanted = /^(viakv_(http_requests_total|http_request_duration_seconds_bucket|conflicts_settled_total|read_repairs_total|sync_keys_total|hints_replayed_total|member_reachable|store_bytes)|process_start_time_seconds)(?:\{(.*)\})? (\S+)$/gm;

// parse returns the series that the console shows.
export function parse(body) {
  const sample = { reads: 0, writes: 0, buckets: new Map(), others: [], repairs: 0 };
  for (const [, name, , labelText, value] of body.matchAll(wanted)) {
    const v = Number(value);
    const labels = Object.fromEntries([...(labelText ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]]));
    switch (name) {
      case 'viakv_http_requests_total':
        if (labels.endpoint === '/get' || labels.endpoint === '/is') sample.reads += v;
        if (labels.endpoint === '/set' || labels.endpoint === '/rm') sample.writes += v;
        break;
      case 'viakv_http_request_duration_seconds_bucket':
        if (['/get', '/is', '/set', '/rm'].includes(labels.endpoint)) {
          const le = labels.le === '+Inf' ? Infinity : Number(labels.le);
          sample.buckets.set(le, (sample.buckets.get(le) ?? 0) + v);
        }
        break;
      case 'viakv_member_reachable': sample.others.push(labels.member); break;
      case 'viakv_conflicts_settled_total': sample.conflicts = v; break;
      case 'viakv_read_repairs_total': case 'viakv_hints_replayed_total': case 'viakv_sync_keys_total':
        sample.repairs += v; break;
      case 'viakv_store_bytes': sample.bytes = v; break;
      case 'process_start_time_seconds': sample.started = v; break;
    }
  }
  return sample;
}

// nodeOf returns the name of the node whose metrics these are: a node's metrics list all members
// but itself.
export function nodeOf(sample, status) {
  const left = (status?.members ?? []).filter((m) => !sample.others.includes(m.name));
  return left.length === 1 ? left[0].name : `process ${sample.started}`;
}

// quantile returns a quantile of the difference of two cumulative histograms. Within a bucket it
// interpolates linearly.
export function quantile(q, buckets) {
  const total = buckets.get(Infinity) ?? 0;
  if (total <= 0) return null;
  let below = 0;
  let from = 0;
  for (const [le, n] of [...buckets].sort((a, b) => a[0] - b[0])) {
    if (n >= q * total) return le === Infinity ? from : from + (le - from) * ((q * total - below) / (n - below || 1));
    below = n;
    from = le;
  }
  return from;
}

const fresh = 6000; // in ms: behind a balancer each node answers only now and then

// Rates keeps the last sample of each node, and the history of what all nodes did together.
export class Rates {
  constructor(length) {
    this.length = length;
    this.nodes = new Map();
    this.history = [];
  }

  // add takes a node's sample at a time in ms, and appends a point to the history.
  add(node, sample, now) {
    const before = this.nodes.get(node);
    const entry = { sample, at: now };
    if (before && before.sample.started === sample.started && now > before.at) {
      const span = (now - before.at) / 1000;
      entry.reads = Math.max(0, sample.reads - before.sample.reads) / span;
      entry.writes = Math.max(0, sample.writes - before.sample.writes) / span;
      entry.buckets = new Map([...sample.buckets].map(([le, n]) => [le, n - (before.sample.buckets.get(le) ?? 0)]));
    }
    this.nodes.set(node, entry);
    for (const [name, e] of this.nodes) if (now - e.at > fresh) this.nodes.delete(name);
    const point = { at: now, reads: 0, writes: 0, p50: null, p99: null };
    const buckets = new Map();
    for (const e of this.nodes.values()) {
      point.reads += e.reads ?? 0;
      point.writes += e.writes ?? 0;
      for (const [le, n] of e.buckets ?? []) buckets.set(le, (buckets.get(le) ?? 0) + n);
    }
    point.p50 = quantile(0.5, buckets);
    point.p99 = quantile(0.99, buckets);
    this.push(point);
  }

  // gap notes that no node answered.
  gap(now) { this.push({ at: now, reads: null, writes: null, p50: null, p99: null }); }

  push(point) {
    this.history.push(point);
    if (this.history.length > this.length) this.history.shift();
  }

  // sum adds up a field over the nodes that answer.
  sum(field) {
    let total;
    for (const e of this.nodes.values()) if (e.sample[field] !== undefined) total = (total ?? 0) + e.sample[field];
    return total;
  }
}
