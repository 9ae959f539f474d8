// What a page does beyond HTML: output grows, ages stay true, commands can be copied.
// Nothing of it is needed to read a page. Job text is only ever put in as text.

import {AnsiUp} from "./vendor/ansi_up.js";

const root = document.documentElement;
root.dataset.js = "on";

// The stream's state, for the dot beside the log's position.
for (const [event, state] of [
  ["htmx:sse:after:connection", "on"],
  ["htmx:sse:error", "off"],
  ["htmx:sse:close", "off"],
]) {
  document.addEventListener(event, () => { root.dataset.live = state; });
}

// Colours. ansi_up reads the escape sequences; instead of its HTML we make nodes, so that no text of
// a job is ever parsed, and no style attribute is written that the content policy would refuse.
class Colours extends AnsiUp {
  nodes = [];

  transform_to_html(part) {
    if (part.text) this.nodes.push(this.#node(part));
    return "";
  }

  process_hyperlink(link) {
    this.nodes.push(document.createTextNode(link.text));
    return "";
  }

  read(text) {
    this.nodes = [];
    this.ansi_to_html(text);
    return this.nodes;
  }

  #node({text, bold, faint, italic, underline, fg, bg}) {
    if (!(bold || faint || italic || underline || fg || bg)) return document.createTextNode(text);
    const span = document.createElement("span");
    span.textContent = text;
    for (const [name, set] of Object.entries({bold, faint, italic, underline})) {
      if (set) span.classList.add(`ansi-${name}`);
    }
    this.#colour(span, fg, "fg", "color");
    this.#colour(span, bg, "bg", "backgroundColor");
    return span;
  }

  #colour(span, colour, kind, property) {
    if (!colour) return;
    if (/^ansi-[a-z-]+$/.test(colour.class_name)) span.classList.add(`${colour.class_name}-${kind}`);
    else span.style[property] = `rgb(${colour.rgb.map(Number).join(",")})`;
  }
}

// The server shows ESC as its picture; where it begins a colour, it is meant as one.
const ESCAPE = /\u241b(?=\[[0-9;]*m|\]8;)/g;

// Characters that act rather than show, as the server shows them.
const ACTS = /[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function shown(text) {
  return text.replaceAll("\r\n", "\n").replace(ACTS, (found) => {
    const code = found.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

const painters = new WeakMap();

function paint(output) {
  if (painters.has(output)) return painters.get(output);
  const painter = {colours: new Colours(), bytes: new TextDecoder(), busy: false, wanted: 0};
  painters.set(output, painter);
  const text = output.textContent.replace(ESCAPE, "\u001b");
  output.replaceChildren(...painter.colours.read(text));
  return painter;
}

// Ask for what was printed after the last byte that is shown: no part twice, none left out.
async function grow(output, end) {
  const painter = paint(output);
  painter.wanted = Math.max(painter.wanted, end);
  if (painter.busy) return;
  painter.busy = true;
  try {
    while (Number(output.dataset.end) < painter.wanted) {
      const from = Number(output.dataset.end);
      const answer = await fetch(`${output.dataset.bytes}?from=${from}`);
      if (!answer.ok) return;
      const bytes = await answer.arrayBuffer();
      if (!bytes.byteLength) return;
      const low = output.scrollHeight - output.scrollTop - output.clientHeight < 40;
      output.append(...painter.colours.read(shown(painter.bytes.decode(bytes, {stream: true}))));
      output.dataset.end = answer.headers.get("X-Output-End");
      if (low) output.scrollTop = output.scrollHeight;
    }
  } finally {
    painter.busy = false;
  }
}

document.getElementById("live")?.addEventListener("output", ({detail}) => {
  const [attempt, end] = detail.data.split(":").map(Number);
  const output = document.getElementById(`output-${attempt}`);
  if (output) grow(output, end);
});

// Ages.
const UNITS = [["d", 86400], ["h", 3600], ["min", 60]];

function span(seconds) {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function age() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (Number.isNaN(past)) continue;
    const words = past < 0 ? `in ${span(-past)}` : `${span(past)} ago`;
    if (time.textContent !== words) time.textContent = words;
  }
}

// Copying.
document.addEventListener("click", async ({target}) => {
  const button = target.closest?.("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  } catch {
    getSelection()?.selectAllChildren(button.previousElementSibling);
  }
});

// A state chosen in a filter counts at once; text waits for Enter.
document.addEventListener("change", ({target}) => {
  if (target.matches?.("form.filters select")) target.form.requestSubmit();
});

function settle() {
  for (const output of document.querySelectorAll("pre.output")) paint(output);
  age();
}

document.addEventListener("htmx:after:swap", settle);
settle();
setInterval(age, 1000);
