// This module puts numbers into words.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const none = '–';

export const count = (n) => (n === undefined || n === null ? none : whole.format(n));

// short returns a number in about four characters: 950, 1.2k, 34k, 1.1M.
export function short(n) {
  if (n === undefined || n === null || Number.isNaN(n)) return none;
  if (n < 10 && n % 1) return n.toFixed(1);
  if (n < 1000) return String(Math.round(n));
  for (const [unit, size] of [['G', 1e9], ['M', 1e6], ['k', 1e3]]) {
    if (n >= size) return `${(n / size).toFixed(n / size < 10 ? 1 : 0)}${unit}`;
  }
  return String(n);
}

export function bytes(n) {
  if (n === undefined || n === null) return none;
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]]) {
    if (n >= size) return `${(n / size).toFixed(n / size < 10 ? 1 : 0)} ${unit}`;
  }
  return `${n} B`;
}

export function seconds(t) {
  if (t === undefined || t === null || Number.isNaN(t)) return none;
  if (t < 0.9995e-3) return `${Math.round(t * 1e6)} µs`;
  if (t < 0.9995) return `${tenth(t * 1e3)} ms`;
  return `${tenth(t)} s`;
}

// tenth shows a tenth where it matters.
const tenth = (x) => (x < 9.95 && Math.abs(x - Math.round(x)) > 0.05 ? x.toFixed(1) : String(Math.round(x)));

export const percent = (x) => `${(100 * x).toFixed(1)} %`;

export const ordinal = (n) => ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth'][n] ?? `${n + 1}th`;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

// moment returns the local time of an RFC 3339 time, with its day unless that is today.
export function moment(time) {
  if (!time) return none;
  const at = new Date(time);
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`;
}
