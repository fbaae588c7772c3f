// The form: the fields of each scenario, and its description.

const about = {
  load: "Fills the cluster with keys, and reads everything back.",
  run: "Throughput and latency under a mix of requests.",
  "find-max": "The highest rate at which latency keeps to an objective.",
  scan: "getAll, getKeys and getValues: how fast, and complete?",
  check: "Is the running cluster linearizable? Clients record what they are told, and a search decides.",
  chaos: "Starts a cluster of its own, kills, pauses and cuts off its nodes, and checks what clients saw.",
};

const number = (name, label, step = 1) => ({ name, label, kind: "number", step });
const text = (name, label, hint) => ({ name, label, kind: "text", hint });
const flag = (name, label) => ({ name, label, kind: "checkbox" });
const choice = (name, label, options) => ({ name, label, kind: "select", options });
const targets = { name: "targets", label: "Targets, one a line", kind: "lines" };

const sizes = [text("keySize", "Key size", "16 or 16-40"), text("valueSize", "Value size", "100 or 20-180"), text("prefix", "Key prefix"), number("seed", "Seed")];
const connections = [number("connections", "Connections"), number("pipeline", "In flight on each")];
const mix = [
  choice("mix", "Mix", [["b", "b: 95 % reads"], ["a", "a: half writes"], ["c", "c: reads"], ["d", "d: reads of the latest"], ["f", "f: modifications"], ["get=70,set=20,is=5,rm=5", "70/20/5/5 get, set, is, rm"]]),
  choice("distribution", "Keys are drawn", [["", "as the mix says"], ["uniform", "uniformly"], ["zipfian", "zipfian"], ["latest", "the latest more"], ["hotspot", "a fifth gets 80 %"], ["sequential", "in order"]]),
];
const quorums = [text("r", "R of this run", "number, quorum, all"), text("w", "W of this run", "number, quorum, all")];
const tolerated = [number("maxErrors", "Not served, at most (%)", "any"), number("maxMisses", "Misses, at most (%)", "any")];
const proof = [number("clients", "Clients"), number("activeKeys", "Active keys"), number("opsPerKey", "Operations a key"), flag("hot", "hot keys, mostly read"), text("scanEvery", "Scan every"), text("timeout", "Time-out"), number("seed", "Seed")];

const fields = {
  load: { basic: [targets, number("keys", "Keys"), ...connections], extra: [...sizes, flag("resume", "only what is missing"), flag("skipCheck", "without the scan at the end"), ...quorums] },
  run: { basic: [targets, ...mix, number("rate", "Rate, requests a second (0: closed loop)", "any"), text("duration", "Duration"), number("keys", "Keys"), number("baseline", "Rounds with the baseline")], extra: [...connections, text("warmup", "Warm-up"), text("ramp", "Ramp"), flag("poisson", "random arrivals"), flag("verify", "verify values"), ...tolerated, ...sizes, ...quorums] },
  "find-max": { basic: [targets, ...mix, text("objective", "Objective", "p99<5ms"), text("duration", "Time for each rate"), number("keys", "Keys")], extra: [...connections, text("warmup", "Warm-up"), flag("poisson", "random arrivals"), ...tolerated, ...sizes, ...quorums] },
  scan: { basic: [targets, number("keys", "Keys that must be there"), number("rounds", "Rounds"), number("baseline", "Rounds with the baseline"), number("beside", "Rate of a load beside (0: none)", "any")], extra: [number("pageSize", "Page size (0: a stream)"), flag("skipCheck", "do not expect keys"), ...tolerated, ...sizes] },
  check: { basic: [targets, text("duration", "Duration")], extra: proof },
  chaos: { basic: [number("nodes", "Nodes"), text("duration", "Duration")], extra: [text("clearEvery", "Clear every"), ...proof] },
};

const value = (field, spec) => (field.kind === "lines" ? (spec.targets ?? []).join("\n") : spec[field.name] ?? "");

function control(field, spec) {
  const label = document.createElement("label");
  label.className = field.kind === "checkbox" ? "field check" : "field";
  const caption = document.createElement("span");
  caption.textContent = field.label;
  let input;
  if (field.kind === "lines") {
    input = document.createElement("textarea");
  } else if (field.kind === "select") {
    input = document.createElement("select");
    for (const [v, shown] of field.options) input.add(new Option(shown, v));
  } else {
    input = document.createElement("input");
    input.type = field.kind;
    if (field.kind === "number") Object.assign(input, { min: 0, step: field.step });
    if (field.hint) input.placeholder = field.hint;
  }
  input.name = field.name;
  if (field.kind === "checkbox") input.checked = Boolean(spec[field.name]);
  else input.value = value(field, spec);
  label.append(...(field.kind === "checkbox" ? [input, caption] : [caption, input]));
  return label;
}

export function drawScenarios(box, names, chosen) {
  for (const name of names) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "scenario", value: name, checked: name === chosen });
    label.append(input, name);
    box.append(label);
  }
}

export function drawFields(scenario, spec) {
  document.querySelector("#about").textContent = about[scenario];
  for (const [box, list] of [["#fields", fields[scenario].basic], ["#extra", fields[scenario].extra]]) {
    document.querySelector(box).replaceChildren(...list.map((f) => control(f, spec)));
  }
}

export function readForm(form, scenario) {
  const spec = { scenario };
  for (const f of [...fields[scenario].basic, ...fields[scenario].extra]) {
    const input = form.elements[f.name];
    if (f.kind === "checkbox") spec[f.name] = input.checked;
    else if (f.kind === "lines") spec[f.name] = input.value.split(/[\s,]+/).filter(Boolean);
    else if (f.kind === "number") spec[f.name] = Number(input.value);
    else spec[f.name] = input.value.trim();
  }
  for (const name of ["duration", "warmup", "ramp", "timeout", "scanEvery", "clearEvery"]) if (spec[name] === "") spec[name] = "0s";
  return spec;
}
