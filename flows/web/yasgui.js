// The page of `nightlab endpoint` where YASGUI is there: it edits, asks this server, shows tables.
// It talks to nobody else: no prefix or vocabulary service, no proxy, no link that runs a query.
"use strict";

const state = { prefixes: {}, gui: undefined };

// The mode of the editor, told that our prefixes are declared: no query needs to say them.
function defineMode() {
  const sparql = Yasqe.getMode({}, "sparql11");
  const startState = () => ({ ...sparql.startState(), prefixes: { ...state.prefixes } });
  Yasqe.defineMode("nightlab", () => ({ ...sparql, startState }));
}

// Its own completions of classes and properties ask a vocabulary service on the internet.
function defineCompletion(terms) {
  Yasqe.defaults.autocompleters = ["variables", "prefixes"];
  Yasqe.registerAutocompleter({
    name: "nightlab",
    bulk: true,
    autoShow: true,
    get: terms,
    isValidCompletionPosition: (yasqe) => /^lab:./.test(yasqe.getCompleteToken().string),
  });
}

// Texts stay as they are: YASGUI would fill {{name}} in, and a CSV would hold formulas.
function defineResults() {
  const { draw } = Yasr.prototype;
  Yasr.prototype.draw = function drawLiterally() {
    const results = this.results;
    if (results?.res?.headers.get("content-type")?.startsWith(JSON_ROWS) && !results.json) {
      Object.assign(results, { json: JSON.parse(results.res.content), type: "json" });
    }
    return draw.call(this);
  };
  Yasr.plugins.table.prototype.download = function download(name) {
    const { results } = this.yasr;
    return {
      getData: () => csv(results.getVariables(), results.getBindings(), state.prefixes),
      contentType: "text/csv",
      title: "Download CSV",
      filename: `${name || "answer"}.csv`,
    };
  };
  Yasr.defaults.plugins.table.dynamicConfig = { compact: true };  // 8, not "8"^^xsd:integer
  Yasr.defaults.errorRenderers = [complain];
}

// YASGUI shows the whole body of an error; the sentence in it is what was meant to be read.
async function complain(error) {
  const told = complaint(error.text);
  if (error.text === "Failed to fetch") told.error = "no answer; is nightlab endpoint still running?";
  if (told.line) mark(told.line, told.column);
  return element("pre", sentence(told));
}

function mark(line, column) {
  const editor = state.gui.getTab().getYasqe();
  editor.setSelection({ line: line - 1, ch: column - 1 }, { line: line - 1, ch: column });
}

function settings(query) {
  return {
    persistenceId: "nightlab",
    populateFromUrl: false,  // a link from another site must not run a query here
    endpointCatalogueOptions: { getData: () => [], keys: [] },
    requestConfig: {
      endpoint: new URL("sparql", location.href).href,
      headers: authorization,  // asked each time: only what is no function is kept in the browser
      acceptHeaderGraph: "text/turtle",
    },
    yasqe: { mode: "nightlab", value: query },
    yasr: { prefixes: () => state.prefixes, maxPersistentResponseSize: 0 },
  };
}

function answered(tab) {
  const found = tab.getYasr().results?.res?.headers;
  const cut = found?.has("X-Nightlab-Truncated");
  say(cut ? CUT : found?.get("X-Nightlab-Note") || "", cut);
}

function start(found) {
  defineMode();
  defineCompletion(found.terms);
  defineResults();
  state.gui = new Yasgui(find("editor"), settings(found.examples[0].sparql));
  state.gui.on("query", () => say("asking ..."));
  state.gui.on("queryResponse", (gui, tab) => setTimeout(() => answered(tab)));
  state.gui.on("tabSelect", () => say(""));
}

async function begin() {
  const found = await offered();
  if (!found) return;
  state.prefixes = found.prefixes;
  if (!state.gui) start(found);
}

find("token").addEventListener("change", begin);
find("example").addEventListener("change", (event) => {
  const [example] = event.target.selectedOptions;
  event.target.selectedIndex = 0;
  const name = example.text.split(/[,.]/)[0];
  state.gui.addTab(true, { name, yasqe: { value: example.value } });
});
begin();
