// This module says in one sentence how the cluster is, from a node's /cluster. It is pure.

function serving(status) {
  return status.members.filter((m) => m.state === 'active' && m.reachable).length;
}

// stateOf returns what a member's card shows. An unreachable member is shown as such, even while
// the topology has it as active.
export function stateOf(member) {
  switch (member.state) {
    case 'active': return member.reachable ? { word: 'active', level: 'good' } : { word: 'unreachable', level: 'bad' };
    case 'vacant': return { word: 'gone', level: 'bad' };
    default: return { word: member.state, level: 'warn' };
  }
}

const list = (names) => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`);
const members = (n) => `${n} member${n === 1 ? '' : 's'}`;

// light returns {level, title, why}.
export function light(status) {
  if (status.mode !== 'mesh') {
    return status.state === 'active'
      ? { level: 'good', title: 'Serving', why: `The database (${status.mode}) answers; it holds and replicates the data.` }
      : { level: 'bad', title: 'Not serving', why: status.reason || `The database (${status.mode}) does not answer.` };
  }
  if (status.state === 'left') return { level: 'warn', title: 'Not a member', why: `${status.self} has left the cluster. It can join one again.` };
  if (!status.n || !['active', 'rebuilding'].includes(status.state)) {
    return { level: 'warn', title: 'Not a member yet', why: `${status.self} is ${status.state}${status.reason ? `: ${status.reason}` : ''}.` };
  }
  const { n, r, w } = status;
  const up = serving(status);
  const need = Math.max(r, w);
  const spare = up - need;
  if (up < need) {
    const what = up < r && up < w ? 'reads and writes are refused' : up < w ? 'writes are refused' : 'reads are refused';
    return { level: 'bad', title: 'No quorum', why: `${up} of ${members(n)} serve${up === 1 ? 's' : ''}, and ${need} are needed: ${what} until another comes back.` };
  }
  const full = status.members.filter((m) => m.full).map((m) => m.name);
  if (full.length) {
    return { level: 'bad', title: 'Refusing new values', why: `${list(full)} ${full.length === 1 ? 'is at its' : 'are at their'} memory limit. Reads and removes go on; remove keys, or raise the limit.` };
  }
  const copying = status.members.filter((m) => m.state === 'rebuilding' || m.state === 'joining').map((m) => m.name);
  const missing = status.members.filter((m) => m.state === 'vacant' || (m.state === 'active' && !m.reachable)).map((m) => m.name);
  const left = spare === 0 ? 'one more loss stops the service' : `${spare} more may fail`;
  if (missing.length) {
    return { level: 'warn', title: `Serving, ${missing.length === 1 ? 'one' : missing.length} short`,
      why: `${list(missing)} ${missing.length === 1 ? 'does' : 'do'} not answer. ${up} of ${n} serve, ${need} are needed: ${left}.` };
  }
  if (copying.length) {
    return { level: 'warn', title: 'Serving, rebuilding', why: `${list(copying)} ${copying.length === 1 ? 'is' : 'are'} copying the data. ${up} of ${n} serve, ${need} are needed: ${left}.` };
  }
  if (status.unsettled) return { level: 'warn', title: 'Serving, changing size', why: `${status.unsettled}.` };
  if (status.weak) return { level: 'warn', title: 'Serving, weakly', why: `R=${r} and W=${w} of ${n} do not overlap: reads may miss acknowledged writes.` };
  if (n === 1) return { level: 'good', title: 'Serving alone', why: `${status.self} is the only member: its loss would lose its keys. Two more members would survive a failure.` };
  if (spare === 0) return { level: 'good', title: 'Serving', why: `All ${members(n)} serve and all are needed: a loss stops the service, and loses nothing.` };
  return { level: 'good', title: 'Serving', why: `All ${members(n)} serve. Any ${spare === 1 ? 'one' : spare} may fail, and nothing stops.` };
}
