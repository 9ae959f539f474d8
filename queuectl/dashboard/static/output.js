// What a job printed: in its colours, and growing while it runs. Its text is only ever put in as text.

import {AnsiUp} from "./vendor/ansi_up.js";

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
  const painter = {colours: new Colours(), bytes: new TextDecoder(), busy: false, wanted: 0, news: 0};
  painters.set(output, painter);
  const text = output.textContent.replace(ESCAPE, "\u001b");
  output.replaceChildren(...painter.colours.read(text));
  return painter;
}

// Ask for what was printed after the last byte that is shown: no part twice, none left out.
async function grow(output, end) {
  const painter = paint(output);
  painter.wanted = Math.max(painter.wanted, end);
  painter.news += 1;
  if (painter.busy) return;
  painter.busy = true;
  try {
    // News that came while an answer was under way may be of what that answer did not have yet.
    for (let heard = 0; heard !== painter.news;) {
      heard = painter.news;
      await fetchNew(output, painter);
    }
  } finally {
    painter.busy = false;
  }
}

async function fetchNew(output, painter) {
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
}

document.getElementById("live")?.addEventListener("output", ({detail}) => {
  const [attempt, end] = detail.data.split(":").map(Number);
  const output = document.getElementById(`output-${attempt}`);
  if (output) grow(output, end);
});

export function paintAll() {
  document.querySelectorAll("pre.output").forEach(paint);
}

// What was printed before this module was there to hear of it.
for (const output of document.querySelectorAll("pre.output")) grow(output, Infinity);
