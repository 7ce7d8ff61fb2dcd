"use strict";
// Regions that changed arrive as HTML of ours and take the place of the old ones; what a person
// has opened, typed or focused stays.
const live = document.getElementById("live");
const regions = () => [...document.querySelectorAll(".region")];

const replace = (region, digest, html) => {
  if (region.dataset.digest === digest) return;
  const open = new Map([...region.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
  const typed = [...region.querySelectorAll("textarea[id], input[id], select[id]")].map((each) => [each.id, each.value]);
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const at = focused && (focused.id || (focused.closest("[id]") !== region && focused.closest("[id]").id));
  const selected = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
  region.innerHTML = html;
  region.dataset.digest = digest;
  for (const each of region.querySelectorAll("details[id]")) restore(each, open);
  for (const [id, value] of typed) {
    const field = document.getElementById(id);
    if (field) field.value = value;
  }
  const again = at && document.getElementById(at);
  if (again) {
    (again.matches("details") ? again.querySelector("summary") : again).focus({ preventScroll: true });
    if (selected && "selectionStart" in again) again.setSelectionRange(...selected);
  }
};
const restore = (details, open) => {
  if (!open.has(details.id)) return;
  if (open.get(details.id)) fill(details);
  details.open = open.get(details.id);
  for (const each of details.querySelectorAll("details[id]")) restore(each, open);
};

const title = document.title;
const settle = () => {
  const asking = document.querySelector("[data-asking]");
  document.title = asking ? `(${asking.dataset.asking}) ${title}` : title;
  tick();
};
const tick = () => {
  for (const each of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor(Date.now() / 1000 - each.dataset.since));
    const two = (number) => String(number).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    each.textContent = h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  }
};
setInterval(tick, 1000);

let source = null;
const say = (text, on) => {
  live.classList.toggle("on", on);
  if (live.textContent !== text) live.textContent = text;
};
const listen = () => {
  if (source || document.hidden) return;
  const url = new URL(location.href);
  url.hash = "";
  url.searchParams.set("have", regions().map((each) => `${each.id}.${each.dataset.digest}`).join(","));
  source = new EventSource(url);
  source.onopen = () => say("Live", true);
  source.onerror = () => say(source && source.readyState === EventSource.CLOSED ? "Not live" : "Reconnecting …", false);
  source.onmessage = (event) => {
    for (const { id, digest, html } of JSON.parse(event.data)) {
      const region = document.getElementById(id);
      if (region) replace(region, digest, html);
    }
    say("Live", true);
    settle();
  };
  source.addEventListener("problem", (event) => say(JSON.parse(event.data), false));
};
const rest = () => {
  if (source) source.close();
  source = null;
  say("Paused", false);
};
// A page that nobody sees costs nothing, and a browser has few connections for one server.
document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
addEventListener("pagehide", rest);
addEventListener("pageshow", listen);
// A second click on the way to the answer would begin a second process.
document.addEventListener("submit", (event) => {
  if (event.target.method === "post") for (const each of event.target.querySelectorAll("button")) each.disabled = true;
});
settle();
listen();
