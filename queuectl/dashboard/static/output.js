// The output of a job: with its colours, and growing while the job runs. Its text is never parsed as HTML.

import {AnsiUp} from "./vendor/ansi_up.js";

// Colours. ansi_up parses the escape sequences. This class replaces its HTML by nodes, so that no text of a
// job is parsed as HTML, and no style attribute is written: the content policy refuses style attributes.
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

// The server replaces ESC by its symbol. Before a colour or a link, the symbol is replaced by ESC again.
const ESCAPE = /\u241b(?=\[[0-9;]*m|\]8;)/g;

// Control characters to make visible, like `visible` in queuectl/escape.py.
const CONTROLS = /[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function shown(text) {
  return text.replaceAll("\r\n", "\n").replace(CONTROLS, (character) => {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

const painters = new WeakMap();

function paint(output) {
  if (painters.has(output)) return painters.get(output);
  const painter = {colours: new Colours(), bytes: new TextDecoder(), busy: false, end: 0, notices: 0, follows: true};
  painters.set(output, painter);
  const text = output.textContent.replace(ESCAPE, "\u001b");
  output.replaceChildren(...painter.colours.read(text));
  if (tools(output)?.dataset.running === "yes") toEnd(output);
  return painter;
}

// Append the output from the last byte that is shown up to offset `end`, without a gap or a repetition.
async function grow(output, end) {
  const painter = paint(output);
  painter.end = Math.max(painter.end, end);
  painter.notices += 1;
  if (painter.busy || !painter.follows) return;
  painter.busy = true;
  try {
    // An event that arrived during a request may report output that its answer does not contain.
    for (let handled = 0; handled !== painter.notices && painter.follows;) {
      handled = painter.notices;
      await fetchNew(output, painter);
    }
  } finally {
    painter.busy = false;
  }
}

async function fetchNew(output, painter) {
  while (painter.follows && Number(output.dataset.end) < painter.end) {
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

// Following: keep the end visible, unless a person has scrolled up.
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
      grow(output, painter.end);
    }
  }
  if (target.closest(".previous")) step(output, -1);
  if (target.closest(".following-match")) step(output, 1);
});

// Searching: matches are highlighted as ranges, which leaves the text unchanged.
const MAX_MATCHES = 10_000;
const canMark = typeof Highlight === "function" && CSS.highlights;
const searches = new WeakMap();

function matches(output, words) {
  let text = output.textContent.toLowerCase(), pattern = words.toLowerCase();
  // A few letters are longer in lower case, which would shift the positions of later matches.
  if (text.length !== output.textContent.length) [text, pattern] = [output.textContent, words];
  const starts = [];
  for (let index = text.indexOf(pattern); index >= 0 && starts.length < MAX_MATCHES;) {
    starts.push(index);
    index = text.indexOf(pattern, index + pattern.length);
  }
  return ranges(output, starts, pattern.length);
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
  const previous = searches.get(output);
  const current = previous?.words === words ? Math.min(previous.current, list.length - 1) : -1;
  searches.set(output, {words, list, current});
  if (canMark) CSS.highlights.set("match", new Highlight(...list));
  showMatches(output);
}

function step(output, by) {
  const state = searches.get(output);
  if (!state?.list.length) return;
  state.current = (state.current + by + state.list.length) % state.list.length;
  if (state.current < 0) state.current = state.list.length - 1;
  const range = state.list[state.current];
  CSS.highlights.set("current-match", new Highlight(range));
  const box = range.getBoundingClientRect(), frame = output.getBoundingClientRect();
  output.scrollTop += box.top - frame.top - output.clientHeight / 2;
  showMatches(output);
}

function showMatches(output) {
  const {words, list, current} = searches.get(output);
  if (!list.length && canMark) CSS.highlights.delete("current-match");
  const summary = !words ? "" : !list.length ? "No match" : current < 0 ? `${list.length} matches` : `${current + 1} of ${list.length}`;
  const place = tools(output)?.querySelector(".matches");
  if (place && place.textContent !== summary) place.textContent = summary;
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
  document.querySelectorAll("pre.output").forEach((output) => { if (searches.has(output)) showMatches(output); });
}

// The tools are visible from now on: before this module was loaded, they would have ignored a person.
document.documentElement.dataset.output = "on";

// Fetch output that was reported before this module was loaded.
for (const output of document.querySelectorAll("pre.output")) grow(output, Infinity);
