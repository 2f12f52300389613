// The plain page of `nightlab endpoint`: it sends a query and shows the answer.
"use strict";

const state = { prefixes: {}, columns: [], rows: [] };

function table() {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of state.columns) head.append(element("th", name));
  const body = made.createTBody();
  for (const row of state.rows) {
    const line = body.insertRow();
    for (const name of state.columns) {
      const number = NUMBERS.includes(row[name]?.datatype);
      line.append(element("td", shown(row[name], state.prefixes), number ? "number" : ""));
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
  const told = complaint(body);
  say(`${status}: ${sentence(told)}`, true);
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
      const cut = response.headers.has("X-Nightlab-Truncated") ? `; ${CUT}` : "";
      const note = response.headers.get("X-Nightlab-Note");
      const time = Math.round(performance.now() - begun);
      present(response.headers.get("Content-Type") || "", body, ` in ${time} ms${cut}${note ? `; ${note}` : ""}`);
    }
  } catch (error) {
    say(`no answer: ${error.message}; is nightlab endpoint still running?`, true);
  }
  find("run").disabled = false;
}

function download() {
  const link = document.createElement("a");
  const text = csv(state.columns, state.rows, state.prefixes);
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "answer.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

async function begin() {
  const found = await offered();
  if (!found) return;
  state.prefixes = found.prefixes;
  if (!find("query").value) find("query").value = found.examples[0].sparql;
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
