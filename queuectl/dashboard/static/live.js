// Additions to the pages: times keep counting, commands can be copied, updates can be paused, and a
// lost connection is reported. Pages can be read without any of them.

const root = document.documentElement;
root.dataset.js = "on";

const live = document.getElementById("live");
const notice = document.getElementById("notice");

// Times.
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

// Format a duration like `age` in queuectl/text/durations.py: two units at most, rounded to the smaller:
// `38s`, `1m12s`, `3h4m`. Change both together.
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

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Update all times on the page. The same as `ago` in queuectl/text/timestamps.py, and `elapsed_element` in
// queuectl/dashboard/template_filters.py: the time since a moment, without "ago".
function tick() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-ago], time[data-elapsed]")) {
    const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (Number.isNaN(past)) continue;
    if ("elapsed" in time.dataset) setText(time, duration(Math.max(0, Math.floor(past))));
    else setText(time, past < 0 ? `in ${duration(-past)}` : `${duration(past)} ago`);
  }
}

// The connection for events. If too many pages are open, the server sends `later` and closes the connection;
// then the page polls.
const NOTICE_DELAY_MS = 2500;
let polls = false, lostAt = null, noticeTimer = null;

function clock(date) {
  return date.toTimeString().slice(0, 8);
}

function connected() {
  clearTimeout(noticeTimer);
  noticeTimer = lostAt = null;
  root.dataset.live = "on";
  showNotice();
}

function failed() {
  polls = false;
  disconnected();
}

function disconnected() {
  root.dataset.live = "off";
  if (polls || lostAt || document.hidden) return;
  lostAt = new Date();
  noticeTimer = setTimeout(showNotice, NOTICE_DELAY_MS);
}

document.addEventListener("htmx:sse:after:connection", connected);
document.addEventListener("htmx:sse:error", failed);
document.addEventListener("htmx:sse:close", disconnected);
live?.addEventListener("later", () => { polls = true; });

// Pausing: htmx does not receive the event `moved` until the page resumes.
let pausedAt = null, pausedPosition = null;

document.addEventListener("moved", (event) => {
  if (!pausedAt) return;
  event.stopImmediatePropagation();
  pausedPosition = Number(event.detail?.data) || pausedPosition;
  showNotice();
}, {capture: true});

function pause() {
  pausedAt = new Date();
  root.dataset.paused = "";
  showNotice();
}

function resume() {
  pausedAt = null;
  delete root.dataset.paused;
  showNotice();
  if (pausedPosition) {
    live.dispatchEvent(new CustomEvent("moved", {bubbles: true, detail: {data: String(pausedPosition)}}));
  }
  pausedPosition = null;
}

document.addEventListener("click", ({target}) => {
  if (target.closest?.("button.pause")) (pausedAt ? resume : pause)();
});

function showNotice() {
  let words = "";
  if (lostAt && Date.now() - lostAt >= NOTICE_DELAY_MS) {
    words = `Connection lost at ${clock(lostAt)}. This page shows the queue as it was then. Reconnecting…`;
  } else if (pausedAt) {
    const shown = Number(live.dataset.position);
    const count = pausedPosition ? pausedPosition - shown : 0;
    const more = count ? `${count.toLocaleString("en")} new event${count === 1 ? "" : "s"} since.` : "No new events.";
    words = `Paused at ${clock(pausedAt)}. ${more}`;
  }
  if (notice) setText(notice, words);
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

// Submit a filter at once when a choice changes; text is submitted by Enter.
document.addEventListener("change", ({target}) => {
  if (target.matches?.("form.filters select")) target.form.requestSubmit();
});

// Update the page after it is loaded or morphed. Only pages with output load its module.
async function update() {
  tick();
  const position = document.querySelector("#page")?.dataset.position;
  if (live && position) live.dataset.position = position;
  if (document.querySelector("pre.output")) (await import("./output.js")).paintAll();
}

document.addEventListener("htmx:after:swap", update);
update();
setInterval(tick, 1000);
