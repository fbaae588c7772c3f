// This module keeps the last hour of the cluster, from the /history of whichever nodes answer. Each
// node has the sum over the members that report, so their points can follow one another.

const hour = 3600000;
const spans = [300000, 900000, hour]; // that charts may have, in ms
const unknown = { reads: null, writes: null, readsRefused: null, writesRefused: null, p50: null, p99: null };

// rows turns columns into points.
const rows = (columns) => (columns?.at ?? []).map((_, i) => Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[i]])));

// Record is an hour of points, and the point of the last second.
export class Record {
  constructor() {
    this.kept = [];
    this.now = null;
    this.scope = undefined;
    this.self = undefined; // the node that has answered last
  }

  // since is what to ask for: what is later than the last point.
  get since() { return this.kept.at(-1)?.at ?? 0; }

  // add takes an answer that came at a time of the page's clock, in ms.
  add(answer, at) {
    const every = 1000 * answer.everySeconds;
    this.scope = answer.scope;
    this.self = answer.self;
    for (const p of rows(answer.points)) {
      const gap = p.at - this.since;
      if (gap < 0.8 * every) continue; // behind a balancer, another node's point of the same moment
      if (this.since && gap > 3 * every) this.kept.push({ ...unknown, at: p.at - every });
      this.kept.push(p);
    }
    this.now = rows(answer.now)[0] ?? null;
    this.ahead = (this.now?.at ?? at) - at; // of the node's clock
    this.trim();
  }

  // gap notes that no node has answered at a time of the page's clock.
  gap(at) {
    if (this.now) this.now = { ...unknown, at: at + this.ahead };
    this.trim();
  }

  trim() {
    const begin = (this.now?.at ?? 0) - hour;
    while (this.kept.length && this.kept[0].at < begin) this.kept.shift();
  }

  // points are all points, the last second's at the end.
  get points() { return this.now ? [...this.kept, this.now] : this.kept; }

  // span is the shortest span that has all points.
  get span() {
    const age = (this.now?.at ?? 0) - (this.kept[0]?.at ?? Infinity);
    return spans.find((s) => age <= s) ?? hour;
  }
}
