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
  const painter = {colours: new Colours(), bytes: new TextDecoder(), busy: false, wanted: 0, news: 0, follows: true};
  painters.set(output, painter);
  const text = output.textContent.replace(ESCAPE, "\u001b");
  output.replaceChildren(...painter.colours.read(text));
  if (tools(output)?.dataset.running === "yes") toEnd(output);
  return painter;
}

// Ask for what was printed after the last byte that is shown: no part twice, none left out.
async function grow(output, end) {
  const painter = paint(output);
  painter.wanted = Math.max(painter.wanted, end);
  painter.news += 1;
  if (painter.busy || !painter.follows) return;
  painter.busy = true;
  try {
    // News that came while an answer was under way may be of what that answer did not have yet.
    for (let heard = 0; heard !== painter.news && painter.follows;) {
      heard = painter.news;
      await fetchNew(output, painter);
    }
  } finally {
    painter.busy = false;
  }
}

async function fetchNew(output, painter) {
  while (painter.follows && Number(output.dataset.end) < painter.wanted) {
    const from = Number(output.dataset.end);
    const answer = await fetch(`${output.dataset.bytes}?from=${from}`);
    if (!answer.ok) return;
    const bytes = await answer.arrayBuffer();
    if (!bytes.byteLength) return;
    const follows = isAtEnd(output);
    output.append(...painter.colours.read(shown(painter.bytes.decode(bytes, {stream: true}))));
    output.dataset.end = answer.headers.get("X-Output-End");
    if (follows) toEnd(output);
    search(output);
  }
}

// Following: the end stays in sight, unless somebody has scrolled up from it.
function isAtEnd(output) {
  return output.scrollHeight - output.scrollTop - output.clientHeight < 40;
}

function toEnd(output) {
  output.scrollTop = output.scrollHeight;
}

function tools(output) {
  return document.querySelector(`.tools[data-for="${output.id}"]`);
}

document.addEventListener("click", ({target}) => {
  const bar = target.closest?.(".tools");
  const output = bar && document.getElementById(bar.dataset.for);
  if (!output) return;
  const painter = paint(output);
  if (target.closest(".follow")) {
    painter.follows = !painter.follows;
    output.dataset.follows = painter.follows ? "yes" : "no";
    document.documentElement.toggleAttribute("data-output-paused", !painter.follows);
    if (painter.follows) {
      toEnd(output);
      grow(output, painter.wanted);
    }
  }
  if (target.closest(".previous")) step(output, -1);
  if (target.closest(".following-match")) step(output, 1);
});

// Searching: matches are marked as ranges, so that the text itself stays as it is.
const LONGEST_LIST = 10_000;
const canMark = typeof Highlight === "function" && CSS.highlights;
const found = new WeakMap();

function matches(output, words) {
  let text = output.textContent.toLowerCase(), wanted = words.toLowerCase();
  // A few letters have a longer lower case, which would shift all that comes after them.
  if (text.length !== output.textContent.length) [text, wanted] = [output.textContent, words];
  const at = [];
  for (let index = text.indexOf(wanted); index >= 0 && at.length < LONGEST_LIST;) {
    at.push(index);
    index = text.indexOf(wanted, index + wanted.length);
  }
  return ranges(output, at, wanted.length);
}

function ranges(output, starts, length) {
  const walker = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
  let node = walker.nextNode(), before = 0;
  const place = (index) => {
    while (node && before + node.length < index) {
      before += node.length;
      node = walker.nextNode();
    }
    return [node, index - before];
  };
  return starts.map((start) => {
    const range = new Range();
    range.setStart(...place(start));
    range.setEnd(...place(start + length));
    return range;
  });
}

function search(output) {
  const bar = tools(output), words = bar?.querySelector(".find").value ?? "";
  const list = words && canMark ? matches(output, words) : [];
  const before = found.get(output);
  const current = before?.words === words ? Math.min(before.current, list.length - 1) : -1;
  found.set(output, {words, list, current});
  if (canMark) CSS.highlights.set("match", new Highlight(...list));
  tell(output);
}

function step(output, by) {
  const state = found.get(output);
  if (!state?.list.length) return;
  state.current = (state.current + by + state.list.length) % state.list.length;
  if (state.current < 0) state.current = state.list.length - 1;
  const range = state.list[state.current];
  CSS.highlights.set("current-match", new Highlight(range));
  const box = range.getBoundingClientRect(), frame = output.getBoundingClientRect();
  output.scrollTop += box.top - frame.top - output.clientHeight / 2;
  tell(output);
}

function tell(output) {
  const {words, list, current} = found.get(output);
  if (!list.length && canMark) CSS.highlights.delete("current-match");
  const told = !words ? "" : !list.length ? "No match" : current < 0 ? `${list.length} matches` : `${current + 1} of ${list.length}`;
  const place = tools(output)?.querySelector(".matches");
  if (place && place.textContent !== told) place.textContent = told;
}

document.addEventListener("input", ({target}) => {
  if (!target.matches?.(".tools .find")) return;
  const output = document.getElementById(target.closest(".tools").dataset.for);
  search(output);
  step(output, 1);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.(".tools .find")) return;
  event.preventDefault();
  step(document.getElementById(event.target.closest(".tools").dataset.for), event.shiftKey ? -1 : 1);
});

document.getElementById("live")?.addEventListener("output", ({detail}) => {
  const [attempt, end] = detail.data.split(":").map(Number);
  const output = document.getElementById(`output-${attempt}`);
  if (output) grow(output, end);
});

export function paintAll() {
  document.querySelectorAll("pre.output").forEach(paint);
  document.querySelectorAll("pre.output").forEach((output) => { if (found.has(output)) tell(output); });
}

// What was printed before this module was there to hear of it.
for (const output of document.querySelectorAll("pre.output")) grow(output, Infinity);
