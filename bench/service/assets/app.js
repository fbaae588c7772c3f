import { drawFields, drawScenarios, readForm } from "./form.js";
import { micros, plot, rate } from "./plot.js";

const $ = (id) => document.getElementById(id);
const count = (n) => Math.round(n).toLocaleString("en-US");
const seconds = (s) => (s < 90 ? `${s.toFixed(0)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`);

let defaults = {};
let scenario = "run";
let shown = null; // the run whose details are on the page
let stream = null; // the event stream of that run
const chosen = new Set(); // past runs to compare

async function call(method, path, body) {
  const response = await fetch(path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? response.statusText);
  return answer;
}

function node(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

function fault(message) {
  $("fault").textContent = message;
  $("fault").hidden = !message;
}

// The run that is shown.

let samples = [];

function watch(id) {
  if (shown === id) return;
  stream?.close();
  shown = id;
  $("live").hidden = false;
  const source = (stream = new EventSource(`api/runs/${id}/events`));
  source.onopen = () => {
    samples = [];
    $("log").textContent = "";
  };
  source.onmessage = (e) => {
    const run = JSON.parse(e.data);
    draw(run);
    if (!["queued", "running"].includes(run.state)) source.close();
  };
}

function draw(run) {
  samples.push(...(run.samples ?? []));
  $("live-title").textContent = run.title;
  const state = $("live-state");
  state.textContent = run.state === "running" ? `running for ${seconds(run.seconds)}` : run.state === "done" ? `done after ${seconds(run.seconds)}; its report is below` : run.state;
  state.dataset.state = run.state;
  if (run.verdict === "failed") state.replaceChildren(`${state.textContent}. `, node("span", { className: "bad" }, `It did not pass: ${run.reason}`));
  if (run.fault) state.replaceChildren(`${run.state}: `, node("span", { className: "bad" }, run.fault));
  $("stop").hidden = !["queued", "running"].includes(run.state);
  drawProgress(run);
  if (run.log?.length) {
    const log = $("log");
    const follow = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
    log.hidden = false;
    log.append(run.log.join("\n") + "\n");
    if (follow) log.scrollTop = log.scrollHeight;
  } else if (!$("log").textContent) $("log").hidden = true;
  $("plots").hidden = samples.length < 2;
  drawTiles(run);
  if (samples.length) drawSamples();
}

function drawProgress(run) {
  const p = run.progress;
  let part = p.total > 0 ? p.done / p.total : run.planned > 0 ? Math.min(run.seconds / run.planned, 1) : 0;
  if (run.state === "done") part = 1;
  $("bar").style.width = `${100 * part}%`;
  $("bar").parentElement.setAttribute("aria-valuenow", Math.round(100 * part));
  $("phase").textContent = p.phase ? `${p.phase}: ${count(p.done)}${p.total ? ` of ${count(p.total)}` : ""}` : "";
}

const percent = (part, whole) => (part > 0 && part < whole / 1000 ? "<0.1 %" : `${((100 * part) / Math.max(whole, 1)).toFixed(1)} %`);

// drawTiles shows the whole run when it is over. Before, it shows the last second, and what was not
// served so far.
function drawTiles(run) {
  const whole = run.whole;
  const last = whole ?? samples.at(-1);
  for (const id of ["tiles", "tiles-of"]) $(id).hidden = !last;
  if (!last) return;
  const measured = samples.filter((s) => !s.warm);
  const sum = (name) => (whole ? whole[name] : measured.reduce((all, s) => all + s[name], 0));
  const requests = whole ? whole.requests : sum("good") + sum("refused") + sum("failed");
  const tiles = [["answered/s", count(Math.floor(last.rate))], ["p50", micros(last.p50)], ["p99", micros(last.p99)], ["max", micros(last.max)]];
  tiles.push(["misses", count(sum("missing")), whole ? `${percent(whole.missing, whole.lookups)} of ${count(whole.lookups)} reads` : ""]);
  for (const name of ["refused", "failed"]) tiles.push([name, count(sum(name)), `${percent(sum(name), requests)} of ${count(requests)}`, sum(name) > 0]);
  if (whole?.open) tiles.push(["dropped", count(whole.dropped), `${percent(whole.dropped, requests)} of ${count(requests)}`, whole.dropped > 0]);
  if (sum("unconnected") > 0) tiles.push(["unconnected", count(sum("unconnected")), "connections not made", true]);
  $("tiles-of").textContent = whole ? "The whole run, without its warm-up." : "The last second; misses, refused and failed since the warm-up.";
  $("tiles").replaceChildren(...tiles.map(([name, value, detail, bad]) => node("div", { className: bad ? "tile bad" : "tile" }, node("small", {}, name), node("b", {}, value), node("small", {}, detail ?? ""))));
}

function drawSamples() {
  // An alternated run begins anew with each round. The plot continues.
  let shift = 0, before = 0;
  const xs = samples.map((s) => {
    if (s.elapsed < before) shift += before;
    before = s.elapsed;
    return shift + s.elapsed;
  });
  const warm = samples.findIndex((s) => !s.warm);
  const warmUntil = warm > 0 ? xs[warm - 1] : 0;
  const lines = [["answered", (s) => s.good], ["refused", (s) => s.refused], ["misses", (s) => s.missing], ["failed", (s) => s.failed], ["asked", (s) => s.asked ?? 0], ["unconnected", (s) => s.unconnected]]
    .map(([name, of], i) => ({ name, class: `l${i + 1}`, key: `key k${i + 1}`, values: samples.map((s) => of(s) / s.seconds) }))
    .filter((l, i) => i < 4 || l.values.some((v) => v > 0));
  $("plot-rate-keys").replaceChildren(...lines.flatMap((l) => [node("span", { className: l.key }, l.name), " "]));
  plot($("plot-rate"), xs, lines, { format: rate, warmUntil });
  plot($("plot-latency"), xs, ["p50", "p95", "p99", "max"].map((q, i) => ({ class: `l${i + 1}`, values: samples.map((s) => s[q]) })), { log: true, format: micros, warmUntil });
}

// Lists.

function drawRuns(runs) {
  // The run that is running, or the last one that ran. A run taken out of the queue never began.
  const latest = runs.find((r) => r.started);
  const waiting = runs.filter((r) => r.state === "queued").reverse();
  if (latest) watch(latest.id);
  $("queue").hidden = waiting.length === 0;
  $("waiting").replaceChildren(...waiting.map((r) => {
    const stop = node("button", { type: "button", onclick: () => call("POST", `api/runs/${r.id}/stop`, {}).catch((e) => fault(e.message)) }, "Remove");
    return node("li", {}, node("span", { className: "grow" }, r.title), stop);
  }));
}

function drawPast(past) {
  $("none").hidden = past.length > 0;
  for (const id of [...chosen]) if (!past.some((p) => p.id === id)) chosen.delete(id);
  $("past").replaceChildren(...past.map((p) => {
    const figures = [p.comparable ? `${count(Math.floor(p.throughput ?? 0))} answered/s` : "", p.p99 ? `p99 ${micros(p.p99)}` : "", ...["missing", "refused", "failed", "dropped"].map((name) => (p[name] ? `${count(p[name])} ${name === "missing" ? "misses" : name}` : "")), p.ratio ? `${Math.round(100 * p.ratio)} % of the baseline` : "", p.note ?? ""].filter(Boolean).join(" · ");
    const box = node("input", { type: "checkbox", checked: chosen.has(p.id), ariaLabel: `compare ${p.title}`, disabled: !p.comparable });
    box.onchange = () => {
      box.checked ? chosen.add(p.id) : chosen.delete(p.id);
      $("compare").disabled = chosen.size !== 2;
    };
    const remove = node("button", { type: "button", ariaLabel: `delete ${p.title}` }, "Delete");
    remove.onclick = () => confirm(`Delete the report of “${p.title}”?`) && call("DELETE", `api/runs/${p.id}`).catch((e) => fault(e.message));
    const links = [["Report", "html"], ["JSON", "json"], ...(p.comparable ? [["CSV", "csv"], ["HDR", "hgrm"]] : [])].map(([name, form]) => node("a", { href: `reports/${p.id}.${form}`, target: form === "html" ? "_blank" : "", rel: "noopener" }, name));
    const what = node("div", { className: "what" }, node("b", {}, p.title), node("span", { className: "dim" }, `${new Date(p.started).toLocaleString()} · ${seconds(p.seconds)}${figures ? " · " + figures : ""}`));
    if (p.reason) what.append(node("p", { className: "bad dim" }, p.reason));
    const item = node("li", {}, box, node("span", { className: `verdict ${p.passed ? "good" : "bad"}` }, p.passed ? "passed" : "failed"), what, node("div", { className: "links" }, ...links, remove));
    item.dataset.id = p.id;
    return item;
  }));
  $("compare").disabled = chosen.size !== 2;
}

async function compare() {
  // The older report is "before".
  const [after, before] = [...document.querySelectorAll("#past li")].map((li) => li.dataset.id).filter((id) => chosen.has(id));
  const box = $("comparison");
  try {
    const t = await call("GET", `api/compare?before=${before}&after=${after}`);
    const head = node("tr", {}, ...["", "before", "after", "change", ""].map((h) => node("th", {}, h)));
    const rows = t.rows.map((r) => node("tr", {}, node("td", {}, r.name), node("td", {}, r.before), node("td", {}, r.after), node("td", {}, r.change), node("td", { className: r.verdict === "better" ? "good" : r.verdict === "worse" ? "bad" : "dim" }, r.verdict)));
    box.replaceChildren(node("p", { className: "dim" }, `before: ${t.before}`, node("br"), `after: ${t.after}`), node("div", { className: "scroll" }, node("table", {}, head, ...rows)), ...(t.notes ?? []).map((n) => node("p", { className: "dim" }, n)));
  } catch (e) {
    box.replaceChildren(node("p", { className: "bad" }, e.message));
  }
  box.hidden = false;
}

function follow() {
  const source = new EventSource("api/events");
  source.onopen = () => ($("connection").textContent = "");
  source.onerror = () => ($("connection").textContent = "connection lost; trying again");
  source.onmessage = (e) => {
    const { runs, past } = JSON.parse(e.data);
    drawRuns(runs);
    drawPast(past);
  };
}

async function begin() {
  const state = await call("GET", "api/state");
  defaults = state.defaults;
  for (const spec of Object.values(defaults)) spec.targets = state.targets;
  const names = Object.keys(defaults).sort((a, b) => ["run", "load", "find-max", "scan", "check", "chaos"].indexOf(a) - ["run", "load", "find-max", "scan", "check", "chaos"].indexOf(b));
  drawScenarios($("scenarios"), names, scenario);
  drawFields(scenario, defaults[scenario]);
  follow();
}

$("scenarios").onchange = (e) => {
  scenario = e.target.value;
  fault("");
  drawFields(scenario, defaults[scenario]);
};
$("form").onsubmit = async (e) => {
  e.preventDefault();
  fault("");
  $("start").disabled = true;
  try {
    await call("POST", "api/runs", readForm($("form"), scenario));
  } catch (error) {
    fault(error.message);
  } finally {
    $("start").disabled = false;
  }
};
$("stop").onclick = () => call("POST", `api/runs/${shown}/stop`, {}).catch((e) => fault(e.message));
$("compare").onclick = compare;
begin().catch((e) => ($("connection").textContent = e.message));
