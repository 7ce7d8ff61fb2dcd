"use strict";
// Parts in a template cost nothing until they are opened.
const fill = (details) => {
  const template = details.querySelector(":scope > template");
  if (template) template.replaceWith(template.content);
};
document.addEventListener("toggle", (event) => {
  if (event.target.open) fill(event.target);
}, true);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-all]");
  if (!button) return;
  const open = button.dataset.all === "open";
  for (const turn of document.querySelectorAll("details.turn")) {
    if (open) fill(turn);
    turn.open = open;
  }
});
const reveal = () => {
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted instanceof HTMLDetailsElement) { fill(wanted); wanted.open = true; }
};
addEventListener("hashchange", reveal);
reveal();
