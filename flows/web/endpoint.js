// The page of `nightlab endpoint`: it sends a query to the same server and shows the answer.
// Everything that comes back was written by agents, so it only ever becomes text, never markup.
"use strict";

const JSON_ROWS = "application/sparql-results+json";
const XSD = "http://www.w3.org/2001/XMLSchema#";
const NUMBERS = ["integer", "double", "decimal", "float"].map((name) => XSD + name);
const find = (id) => document.getElementById(id);
const state = { prefixes: {}, columns: [], rows: [] };

function headers(accept) {
  const token = find("token").value.trim();
  return { Accept: accept, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

function say(text, bad = false) {
  find("status").textContent = text;
  find("status").className = bad ? "bad" : "";
}

function element(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

function shorten(iri) {
  for (const [prefix, space] of Object.entries(state.prefixes)) {
    if (iri.startsWith(space)) return `${prefix}:${iri.slice(space.length)}`;
  }
  return iri;
}

function shown(term) {
  if (!term) return "";
  if (term.type === "triple") return JSON.stringify(term.value);
  return term.type === "uri" ? shorten(term.value) : term.value;
}

function table() {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of state.columns) head.append(element("th", name));
  const body = made.createTBody();
  for (const row of state.rows) {
    const line = body.insertRow();
    for (const name of state.columns) {
      const number = NUMBERS.includes(row[name]?.datatype);
      line.append(element("td", shown(row[name]), number ? "number" : ""));
    }
  }
  return made;
}

function mark(line, column) {
  const editor = find("query");
  const lines = editor.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  editor.focus();
  editor.setSelectionRange(start + column - 1, start + column);
}

function complain(status, body) {
  let told = { error: body || "no answer" };
  try {
    told = JSON.parse(body);
  } catch { /* not ours, so shown as it is */ }
  say(`${status}: ${told.error}${told.hint ? `\nhint: ${told.hint}` : ""}`, true);
  if (told.line) mark(told.line, told.column);
}

function present(type, body, more) {
  const answer = find("answer");
  if (!type.startsWith(JSON_ROWS)) {
    answer.replaceChildren(element("pre", body));
    say(`${body.split("\n").length} lines${more}`);
    return;
  }
  const found = JSON.parse(body);
  if ("boolean" in found) {
    say(String(found.boolean));
    return;
  }
  state.columns = found.head.vars;
  state.rows = found.results.bindings;
  answer.replaceChildren(table());
  find("csv").disabled = state.rows.length === 0;
  say(`${state.rows.length} ${state.rows.length === 1 ? "row" : "rows"}${more}`);
}

async function run(event) {
  event?.preventDefault();
  const query = find("query").value;
  const begun = performance.now();
  find("run").disabled = true;
  find("csv").disabled = true;
  find("answer").replaceChildren();
  say("asking ...");
  try {
    const response = await fetch("sparql", {
      method: "POST",
      headers: { ...headers(`${JSON_ROWS}, text/turtle;q=0.9`), "Content-Type": "application/sparql-query" },
      body: query,
    });
    const body = await response.text();
    if (!response.ok) {
      complain(response.status, body);
    } else {
      const cut = response.headers.get("X-Nightlab-Truncated") ? ", cut: add a LIMIT or ask for less" : "";
      const time = Math.round(performance.now() - begun);
      present(response.headers.get("Content-Type") || "", body, ` in ${time} ms${cut}`);
    }
  } catch (error) {
    say(`no answer: ${error.message}; is nightlab endpoint still running?`, true);
  }
  find("run").disabled = false;
}

// A text that starts like a formula gets an apostrophe: spreadsheets would run it.
function cell(term) {
  const text = shown(term);
  const safe = !NUMBERS.includes(term?.datatype) && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download() {
  const lines = state.rows.map((row) => state.columns.map((name) => cell(row[name])).join(","));
  const text = [state.columns.join(","), ...lines, ""].join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "answer.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

async function begin() {
  find("address").textContent = new URL("sparql", location.href).href;
  const response = await fetch("examples.json", { headers: headers("application/json") });
  if (!response.ok) {
    complain(response.status, await response.text());
    return;
  }
  const offered = await response.json();
  state.prefixes = offered.prefixes;
  for (const [prefix, space] of Object.entries(offered.prefixes)) {
    find("prefixes").append(element("dt", `${prefix}:`), element("dd", space));
  }
  const list = find("example");
  list.length = 1;  // the first one says to choose
  for (const example of offered.examples) {
    const option = element("option", example.summary);
    option.value = example.sparql;
    list.append(option);
  }
  if (!find("query").value) find("query").value = offered.examples[0].sparql;
  say("");
}

find("form").addEventListener("submit", run);
find("csv").addEventListener("click", download);
find("token").addEventListener("change", begin);
find("example").addEventListener("change", (event) => {
  if (event.target.value) find("query").value = event.target.value;
});
find("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event);
});
begin();
