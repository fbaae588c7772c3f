// This module speaks the public HTTP API, with the user's token if there is one.

const tokenKey = 'viakv.token'; // kept for this tab's session: it is gone when the tab is

export function token() { return sessionStorage.getItem(tokenKey) ?? ''; }

export function setToken(value) {
  if (value) sessionStorage.setItem(tokenKey, value);
  else sessionStorage.removeItem(tokenKey);
}

// Problem is an answer that is no success, or no answer at all (status 0).
export class Problem extends Error {
  constructor(status, title, detail, outcome) {
    super(detail ? `${title}: ${detail}` : title);
    this.status = status;
    this.outcome = outcome;
  }
}

const patience = 8000; // in ms: longer than a request may take at the node

async function send(path, options, time = patience) {
  const headers = new Headers(options.headers);
  if (token()) headers.set('Authorization', `Bearer ${token()}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(time) });
  } catch (error) {
    throw new Problem(0, 'No answer', error.name === 'TimeoutError' ? 'the node took too long' : 'the node cannot be reached', 'unknown');
  }
  if (response.ok) return response;
  let p = {};
  try { p = await response.json(); } catch { /* a proxy's own page */ }
  throw new Problem(response.status, p.title ?? `Status ${response.status}`, p.detail, p.outcome);
}

function query(path, parameters) {
  const q = new URLSearchParams(parameters).toString();
  return q ? `${path}?${q}` : path;
}

// read asks for JSON.
export async function read(path, parameters) {
  const response = await send(query(path, parameters), { headers: { Accept: 'application/json' } });
  return response.json();
}

// readText asks for text.
export async function readText(path, parameters) {
  const response = await send(query(path, parameters), {});
  return response.text();
}

// change sends a change by POST: caches and the history would repeat a GET.
export async function change(path, parameters, time) {
  const response = await send(path, { method: 'POST', body: new URLSearchParams(parameters) }, time);
  return response.text();
}

// page reads one page of pairs: {pairs, cursor}, without a cursor at the end. An answer that was
// cut has no last line, and is an error.
export async function page(prefix, cursor, limit) {
  const parameters = { format: 'ndjson', limit };
  if (prefix) parameters.prefix = prefix;
  if (cursor) parameters.cursor = cursor;
  const lines = (await readText('/getAll', parameters)).trimEnd().split('\n').map((line) => JSON.parse(line));
  const last = lines.pop();
  if (!last?.end) throw new Problem(0, 'The answer was cut', 'try again', 'none');
  return { pairs: lines, cursor: last.cursor };
}
