// What a page does beyond HTML: ages stay true, commands can be copied, output grows.
// Nothing of it is needed to read a page.

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

// Ages.
const UNITS = [["d", 86400], ["h", 3600], ["m", 60]];

function span(seconds) {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${unit}`;
  }
  return `${Math.floor(seconds)}s`;
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

// Output has a module of its own, fetched where there is any.
async function settle() {
  age();
  if (document.querySelector("pre.output")) (await import("./output.js")).paintAll();
}

document.addEventListener("htmx:after:swap", settle);
settle();
setInterval(age, 1000);
