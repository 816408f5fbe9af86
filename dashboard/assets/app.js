// Everything here is an addition: pages work without it.
import { follow } from "./live.js";
import { keys } from "./keys.js";
import { times } from "./times.js";
import "./map.js";

const root = document.documentElement;

// Light or dark, where it differs from what the system says.
function remember(theme) {
  try {
    localStorage.setItem("stint-theme", theme);
  } catch {
    // Without storage it lasts for the page.
  }
}

export function toggleTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember(root.dataset.theme);
  document.dispatchEvent(new Event("stint:theme"));
}

try {
  const theme = localStorage.getItem("stint-theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
} catch {
  // as the system says
}

// A fragment that tells why a job waits is read when it is asked for.
async function explain(details) {
  const into = details.querySelector("div");
  try {
    const answer = await fetch(details.dataset.src, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const list = page.querySelector("[data-why]");
    if (list) into.replaceChildren(document.importNode(list, true));
  } catch {
    // the link to the job stays
  }
}

document.addEventListener("toggle", (e) => {
  if (e.target instanceof HTMLDetailsElement && e.target.open && e.target.dataset.src) explain(e.target);
}, true);

// Nothing is sent twice, and a bulk action that is under way goes on.
document.addEventListener("submit", (e) => {
  if (e.target.method !== "post") return;
  if (e.target.dataset.sent) {
    e.preventDefault();
    return;
  }
  e.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
document.querySelector("form[data-go]")?.requestSubmit();

for (const [id, act] of [["theme", toggleTheme], ["help", () => document.getElementById("keys").showModal()]]) {
  const button = document.getElementById(id);
  button.hidden = false;
  button.addEventListener("click", act);
}

times();
keys(toggleTheme);
if (document.body.hasAttribute("data-live")) follow();
