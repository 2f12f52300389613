// What both pages of `nightlab endpoint` share: the token, the examples, the one status line.
// Everything that comes back was written by agents, so it only ever becomes text, never markup.
"use strict";

const JSON_ROWS = "application/sparql-results+json";
const XSD = "http://www.w3.org/2001/XMLSchema#";
const NUMBERS = ["integer", "double", "decimal", "float"].map((name) => XSD + name);
const find = (id) => document.getElementById(id);

function headers(accept) {
  return { Accept: accept, ...authorization() };
}

function authorization() {
  const token = find("token").value.trim();
  return token ? { Authorization: `Bearer ${token}` } : {};
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

function shorten(iri, prefixes) {
  for (const [prefix, space] of Object.entries(prefixes)) {
    if (iri.startsWith(space)) return `${prefix}:${iri.slice(space.length)}`;
  }
  return iri;
}

function shown(term, prefixes) {
  if (!term) return "";
  if (term.type === "triple") return JSON.stringify(term.value);
  return term.type === "uri" ? shorten(term.value, prefixes) : term.value;
}

// A text that starts like a formula gets an apostrophe: spreadsheets would run it.
function cell(term, prefixes) {
  const text = shown(term, prefixes);
  const safe = !NUMBERS.includes(term?.datatype) && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv(columns, rows, prefixes) {
  const lines = rows.map((row) => columns.map((name) => cell(row[name], prefixes)).join(","));
  return [columns.join(","), ...lines, ""].join("\r\n");
}

// What the server complains of: a sentence, perhaps a hint and a place.
function complaint(body) {
  try {
    return JSON.parse(body);
  } catch {
    return { error: body || "no answer" };  // not ours, so shown as it is
  }
}

function sentence(told) {
  return `${told.error}${told.hint ? `\nhint: ${told.hint}` : ""}`;
}

const CUT = "the answer was cut: add a LIMIT or ask for less";

// Fill in the page what the server offers; undefined if it refuses, as without its token.
async function offered() {
  find("address").textContent = new URL("sparql", location.href).href;
  const response = await fetch("examples.json", { headers: headers("application/json") });
  if (response.status === 401) {
    say("this server asks for a token: the NIGHTLAB_ENDPOINT_TOKEN it was started with", true);
    find("token").focus();
    return undefined;
  }
  if (!response.ok) {
    say(`${response.status}: ${sentence(complaint(await response.text()))}`, true);
    return undefined;
  }
  const found = await response.json();
  find("prefixes").replaceChildren();
  for (const [prefix, space] of Object.entries(found.prefixes)) {
    find("prefixes").append(element("dt", `${prefix}:`), element("dd", space));
  }
  const list = find("example");
  list.length = 1;  // the first one says to choose
  for (const example of found.examples) {
    const option = element("option", example.summary);
    option.value = example.sparql;
    list.append(option);
  }
  say("");
  return found;
}
