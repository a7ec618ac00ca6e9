// What the page shows is text: it is set by textContent only, so no name can become markup.
"use strict";

const at = (id) => document.getElementById(id);

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const replace = (parent, children) => parent.replaceChildren(...children);
const count = (n) => n.toLocaleString("en", { maximumFractionDigits: n < 10 ? 1 : 0, notation: n >= 1e5 ? "compact" : "standard" });
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 1) return `${s < 0.01 ? (1e3 * s).toFixed(1) : Math.round(1e3 * s)} ms`;
  if (s < 120) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

const clock = (millis) => new Date(millis).toLocaleTimeString("en-GB");

// Paths are relative to the page, wherever it is mounted.
async function ask(path, options) {
  const response = await fetch(`api/${path}`, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.problem);
  return answer;
}

// ---- functions

const COLUMNS = [
  { name: "Function", of: (row) => row.name, text: (row) => row.name },
  { name: "Calls/s", of: (row) => row.rate ?? -1, text: (row) => (row.rate === null ? "–" : count(row.rate)) },
  { name: "Hit ratio", of: (row) => row.hit_ratio, text: (row) => percent(row.hit_ratio), bar: true },
  { name: "Stale", of: (row) => row.staleShare, text: (row) => percent(row.staleShare) },
  { name: "Loads", of: (row) => row.loads, text: (row) => count(row.loads) },
  { name: "Load p50", of: (row) => row.load_p50 ?? -1, text: (row) => seconds(row.load_p50) },
  { name: "Load p99", of: (row) => row.load_p99 ?? -1, text: (row) => seconds(row.load_p99) },
  { name: "Errors", of: (row) => row.errors, text: (row) => count(row.errors), failing: (row) => row.errors > 0 },
  { name: "Entries", of: (row) => row.entries, text: (row) => count(row.entries) },
  { name: "Memory", of: (row) => row.bytes, text: (row) => bytes(row.bytes) },
];

let sort = { column: 1, descending: true };
let rows = [];
let before = { at: 0, calls: new Map() };

function heads() {
  const cells = COLUMNS.map((column, index) => {
    const head = make("th");
    head.scope = "col";
    const button = make("button", column.name);
    button.type = "button";
    button.addEventListener("click", () => {
      sort = { column: index, descending: sort.column === index ? !sort.descending : index !== 0 };
      showFunctions();
    });
    head.append(button);
    return head;
  });
  replace(document.querySelector("#functions thead tr"), cells);
}

function showFunctions() {
  document.querySelectorAll("#functions th").forEach((head, index) => {
    if (index === sort.column) head.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const { of } = COLUMNS[sort.column];
  const order = (a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : a.name < b.name ? -1 : 1);
  const sorted = [...rows].sort((a, b) => (sort.descending ? order(b, a) : order(a, b)));
  replace(document.querySelector("#functions tbody"), sorted.map((row) => {
    const line = make("tr");
    for (const column of COLUMNS) {
      const cell = make("td", column.text(row), column.failing?.(row) ? "failing" : "");
      if (column === COLUMNS[0]) cell.title = row.name;
      if (column.bar) {
        const meter = make("meter", undefined, "bar");
        meter.value = row.hit_ratio;
        cell.append(meter);
      }
      line.append(cell);
    }
    return line;
  }));
  at("no-functions").hidden = rows.length > 0;
  document.querySelector("#functions").hidden = rows.length === 0;
}

function options() {
  const select = at("function");
  const names = rows.map((row) => row.name).sort();
  if (names.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
  const chosen = select.value;
  replace(select, names.map((name) => {
    const option = make("option", name);
    option.value = name;
    return option;
  }));
  if (names.includes(chosen)) select.value = chosen;
}

// ---- the whole

function tile(name, value, isBad) {
  const tile = make("div", undefined, isBad ? "tile bad" : "tile");
  tile.append(make("b", value), make("span", name));
  return tile;
}

function pills(overview) {
  const pills = [];
  if (!overview.has_shared) pills.push(make("span", "memory only", "pill"));
  else if (overview.connected) pills.push(make("span", "shared tier in use", "pill good"));
  else pills.push(make("span", "without the shared tier", "pill bad"));
  if (overview.breaker_open) pills.push(make("span", "breaker open", "pill bad"));
  if (overview.pending_invalidations) pills.push(make("span", `${overview.pending_invalidations} pending`, "pill warn"));
  return pills;
}

async function showOverview() {
  const overview = await ask("overview");
  const now = performance.now();
  const [isFirst, elapsed] = [before.at === 0, (now - before.at) / 1e3];
  rows = overview.functions.map((row) => ({
    ...row,
    rate: before.calls.has(row.name) ? Math.max(0, row.calls - before.calls.get(row.name)) / elapsed : null,
    staleShare: row.hits ? row.stale / row.hits : 0,
  }));
  before = { at: now, calls: new Map(rows.map((row) => [row.name, row.calls])) };
  const total = (field) => rows.reduce((sum, row) => sum + row[field], 0);
  const counted = total("hits") + total("misses") + total("joined");
  at("namespace").textContent = overview.namespace;
  at("process").textContent = `process ${overview.process} · pid ${overview.pid}`;
  replace(at("state"), pills(overview));
  replace(at("tiles"), [
    tile("calls per second", isFirst ? "–" : count(total("rate"))),
    tile("hit ratio", counted ? percent(total("hits") / counted) : "–"),
    tile("loads", count(total("loads"))),
    tile("failed loads", count(total("errors")), total("errors") > 0),
    tile("entries in memory", count(overview.memory_entries)),
    tile("memory", bytes(overview.memory_bytes)),
  ]);
  showFunctions();
  options();
  at("actions").hidden = !overview.actions;
  replace(at("warnings"), overview.warnings.map((warning) => {
    const item = make("li");
    const times = warning.times > 1 ? `${warning.kind} · ${warning.times} times` : warning.kind;
    item.append(make("time", clock(warning.at)), make("span", times, "pill warn"), make("span", warning.message));
    return item;
  }));
  at("no-warnings").hidden = overview.warnings.length > 0;
}

async function showFleet() {
  const processes = await ask("fleet");
  replace(document.querySelector("#fleet tbody"), processes.map((one, index) => {
    const line = make("tr");
    const state = make("td");
    const pill = pills(one)[0];
    state.append(pill);
    line.append(make("td", index === 0 ? `this one, ${one.process}` : one.process), state);
    const texts = [count(one.calls), percent(one.hit_ratio), count(one.memory_entries), bytes(one.memory_bytes), count(one.pending_invalidations)];
    line.append(...texts.map((text) => make("td", text)));
    return line;
  }));
}

// ---- hot keys

let looks = false;

function link(text, act) {
  const button = make("button", text, "link");
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

async function look() {
  while (looks) {
    const hot = await ask("hot?ms=800");
    if (!looks) return;
    const lines = hot.keys.slice(0, 12).map((key) => {
      const line = make("tr");
      const name = make("td");
      name.append(link(key.key, () => follow(key.function, key.key)), make("small", key.function));
      line.append(name, make("td", percent(key.hits / hot.hits)));
      return line;
    });
    replace(document.querySelector("#hot tbody"), lines);
  }
}

at("look").addEventListener("click", () => {
  looks = !looks;
  at("look").setAttribute("aria-pressed", looks);
  at("look").textContent = looks ? "Stop" : "Look";
  if (looks) look().catch(failed);
});

// ---- a key

let followed = null;

function follow(name, key) {
  followed = { name, key };
  at("function").value = name;
  at("key").value = key;
  at("acted").textContent = "";
  showLife().catch(failed);
}

const query = () => new URLSearchParams({ function: followed.name, key: followed.key });

async function showLife() {
  if (!followed) return;
  const life = await ask(`key?${query()}`);
  at("life").hidden = false;
  at("life-name").textContent = `${life.function} · ${life.key}`;
  const entry = life.entry;
  const facts = entry
    ? [["in memory", entry.state], ["age", seconds(entry.age)], ["fresh for", seconds(entry.fresh_for)], ["expires in", seconds(entry.expires_in)], ["value", bytes(entry.bytes)]]
    : [["in memory", "no entry"]];
  replace(at("entry"), facts.flatMap(([name, fact]) => [make("dt", name), make("dd", fact)]));
  at("value").hidden = !entry || entry.value === null;
  at("value").textContent = entry && entry.value !== null ? JSON.stringify(entry.value, null, 2) : "";
  replace(at("events"), life.events.length
    ? life.events.map((event) => {
      const item = make("li");
      item.append(make("time", clock(event.at)), make("span", event.what));
      return item;
    })
    : [make("li", "Nothing but hits lately.")]);
}

at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  follow(at("function").value, at("key").value.trim());
});

async function act(action) {
  try {
    await ask(`${action}?${query()}`, { method: "POST", headers: { "X-Hybridcache": "1" } });
    at("acted").textContent = action === "expire" ? "expired" : "invalidated";
  } catch (error) {
    at("acted").textContent = error.message;
  }
  await showLife();
}

at("invalidate").addEventListener("click", () => act("invalidate"));
at("expire").addEventListener("click", () => act("expire"));

// ---- the clock

function failed(error) {
  replace(at("state"), [make("span", `no answer: ${error.message}`, "pill bad")]);
}

async function repeat(show, pause) {
  for (;;) {
    if (!document.hidden) await show().catch(failed);
    await new Promise((done) => setTimeout(done, pause));
  }
}

heads();
repeat(showOverview, 1000);
repeat(showFleet, 3000);
repeat(showLife, 1000);
