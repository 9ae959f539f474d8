// What a page does beyond HTML: times count on, commands can be copied, updates can be paused, and a
// lost connection is said in words. Nothing of it is needed to read a page.

const root = document.documentElement;
root.dataset.js = "on";

const live = document.getElementById("live");
const notice = document.getElementById("notice");

// Times.
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

// As the server writes a duration: two units at most, rounded to the smaller: `38s`, `1m12s`, `3h4m`.
function duration(seconds) {
  const unitsOf = whole => {
    const at = UNITS.findIndex(([, size]) => whole >= size);
    return [UNITS[at], UNITS[at + 1] ?? UNITS[at]];
  };
  let whole = Math.round(seconds);
  if (whole < 1) return "0s";
  const [, [, step]] = unitsOf(whole);
  whole = Math.round(whole / step) * step;
  const [[unit, size], [part, partSize]] = unitsOf(whole);
  const rest = Math.floor(whole % size / partSize);
  return `${Math.floor(whole / size)}${unit}${rest ? rest + part : ""}`;
}

function say(time, words) {
  if (time.textContent !== words) time.textContent = words;
}

function tick() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-ago], time[data-elapsed]")) {
    const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (Number.isNaN(past)) continue;
    if ("elapsed" in time.dataset) say(time, duration(Math.max(0, Math.floor(past))));
    else say(time, past < 0 ? `in ${duration(-past)}` : `${duration(past)} ago`);
  }
}

// The connection. A server whose streams are all taken says `later` and hangs up: then the page polls.
const PATIENCE_MS = 2500;
let polls = false, lostAt = null, patience = null;

function clock(date) {
  return date.toTimeString().slice(0, 8);
}

function connected() {
  clearTimeout(patience);
  patience = lostAt = null;
  root.dataset.live = "on";
  describe();
}

function failed() {
  polls = false;
  disconnected();
}

function disconnected() {
  root.dataset.live = "off";
  if (polls || lostAt || document.hidden) return;
  lostAt = new Date();
  patience = setTimeout(describe, PATIENCE_MS);
}

document.addEventListener("htmx:sse:after:connection", connected);
document.addEventListener("htmx:sse:error", failed);
document.addEventListener("htmx:sse:close", disconnected);
live?.addEventListener("later", () => { polls = true; });

// Pausing: the news that the log has moved is held back until the page goes on.
let pausedAt = null, held = null;

document.addEventListener("moved", (event) => {
  if (!pausedAt) return;
  event.stopImmediatePropagation();
  held = Number(event.detail?.data) || held;
  describe();
}, {capture: true});

function pause() {
  pausedAt = new Date();
  root.dataset.paused = "";
  describe();
}

function resume() {
  pausedAt = null;
  delete root.dataset.paused;
  describe();
  if (held) live.dispatchEvent(new CustomEvent("moved", {bubbles: true, detail: {data: String(held)}}));
  held = null;
}

document.addEventListener("click", ({target}) => {
  if (target.closest?.("button.pause")) (pausedAt ? resume : pause)();
});

function describe() {
  let words = "";
  if (lostAt && Date.now() - lostAt >= PATIENCE_MS) {
    words = `Connection lost at ${clock(lostAt)}. This page shows the queue as it was then. Reconnecting…`;
  } else if (pausedAt) {
    const shown = Number(live.dataset.position);
    const count = held ? held - shown : 0;
    const more = count ? `${count.toLocaleString("en")} new event${count === 1 ? "" : "s"} since.` : "No new events.";
    words = `Paused at ${clock(pausedAt)}. ${more}`;
  }
  if (notice && notice.textContent !== words) notice.textContent = words;
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

// A choice in a filter counts at once; text waits for Enter.
document.addEventListener("change", ({target}) => {
  if (target.matches?.("form.filters select")) target.form.requestSubmit();
});

// Output has a module of its own, fetched where there is any.
async function settle() {
  tick();
  const position = document.querySelector("#page")?.dataset.position;
  if (live && position) live.dataset.position = position;
  if (document.querySelector("pre.output")) (await import("./output.js")).paintAll();
}

document.addEventListener("htmx:after:swap", settle);
settle();
setInterval(tick, 1000);
