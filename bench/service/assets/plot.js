// Line plots as SVG. Values are numbers; null is a gap.

const width = 460, height = 190, left = 54, right = 8, top = 10, bottom = 22;
const namespace = "http://www.w3.org/2000/svg";

function element(name, attributes, content) {
  const e = document.createElementNS(namespace, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (content !== undefined) e.textContent = content;
  return e;
}

function nice(high) {
  const step = 10 ** Math.floor(Math.log10(high || 1));
  return [1, 2, 2.5, 5, 10].map((m) => m * step).find((v) => v >= high) ?? high;
}

// plot draws series of {values, class} over the times xs. With log it shows decades.
export function plot(svg, xs, series, { log = false, format, warmUntil = 0 }) {
  const all = series.flatMap((s) => s.values).filter((v) => v !== null && (!log || v > 0));
  const end = Math.max(xs.at(-1) ?? 1, 1);
  let low = 0, high = nice(Math.max(...all, 1));
  const scale = log ? Math.log10 : (v) => v;
  if (log) {
    low = Math.floor(Math.log10(Math.min(...all, 1e9)));
    high = Math.max(Math.ceil(Math.log10(Math.max(...all, 1))), low + 1);
  }
  const x = (t) => left + (t / end) * (width - left - right);
  const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
  const parts = [];
  if (warmUntil > 0) parts.push(element("rect", { class: "warm", x: left, y: top, width: x(Math.min(warmUntil, end)) - left, height: height - top - bottom }));
  const lines = log ? high - low : 4;
  for (let i = 0; i <= lines; i++) {
    const v = low + ((high - low) * i) / lines;
    parts.push(element("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }));
    parts.push(element("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, format(log ? 10 ** v : v)));
  }
  const ticks = Math.min(4, Math.max(1, Math.floor(end)));
  for (let i = 0; i <= ticks; i++) parts.push(element("text", { x: x((end * i) / ticks), y: height - 5, "text-anchor": i === ticks ? "end" : "middle" }, `${Math.round((end * i) / ticks)}s`));
  for (const s of series) {
    let path = "", gap = true;
    s.values.forEach((v, i) => {
      if (v === null || (log && v <= 0)) { gap = true; return; }
      path += `${gap ? "M" : "L"}${x(xs[i]).toFixed(1)} ${y(scale(v)).toFixed(1)}`;
      gap = false;
    });
    parts.push(element("path", { class: s.class, d: path }));
  }
  svg.replaceChildren(...parts);
}

export const rate = (v) => (v >= 1e6 ? `${+(v / 1e6).toPrecision(3)}M` : v >= 1e3 ? `${+(v / 1e3).toPrecision(3)}k` : `${Math.round(v)}`);
export const micros = (v) => (v >= 1e6 ? `${+(v / 1e6).toPrecision(3)}s` : v >= 1e3 ? `${+(v / 1e3).toPrecision(3)}ms` : `${Math.round(v)}µs`);
