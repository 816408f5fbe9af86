// The server sends the inner part of the page anew when it has changed. It is
// put in place of the old one node by node, so that focus, selection, open
// details and what is typed stay.
const state = document.getElementById("live");
let source;
let failures = 0;
let timer;

function say(what, text) {
  state.dataset.state = what;
  state.textContent = text;
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = undefined;
}

function open() {
  close();
  source = new EventSource(location.href);
  source.addEventListener("open", () => say("on", "live"));
  source.addEventListener("page", (e) => {
    failures = 0;
    replace(JSON.parse(e.data));
  });
  source.addEventListener("gone", (e) => {
    close();
    say("gone", "gone");
    state.title = JSON.parse(e.data);
  });
  source.addEventListener("error", () => {
    if (!source) return;
    say("off", "reconnecting");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    close();
    failures++;
    timer = setTimeout(open, Math.min(60, 5 * failures) * 1000);
  });
}

export function follow() {
  const visible = () => (document.hidden ? (close(), say("off", "paused")) : open());
  document.addEventListener("visibilitychange", visible);
  addEventListener("pagehide", close);
  visible();
}

function replace(html) {
  // Within an element, so that blanks at the beginning count as they do there.
  const page = new DOMParser().parseFromString(`<main>\n${html}\n</main>`, "text/html");
  morph(document.getElementById("main"), page.body.firstChild);
  document.dispatchEvent(new Event("stint:page"));
}

// morph gives a node the children of another one. Those with an id are found
// wherever they have moved to.
export function morph(into, from) {
  let old = into.firstChild;
  for (let next = from.firstChild; next; next = next.nextSibling) {
    if (next.id && old?.id !== next.id) {
      const moved = [...into.children].find((n) => n.id === next.id);
      if (moved) old = into.insertBefore(moved, old);
    }
    const text = next.nodeType === Node.TEXT_NODE;
    while (!text && old?.nodeType === Node.TEXT_NODE) {
      const gone = old;
      old = old.nextSibling;
      gone.remove();
    }
    if (old && same(old, next)) {
      renew(old, next);
      old = old.nextSibling;
      continue;
    }
    into.insertBefore(document.importNode(next, true), old);
    if (old && !text && !stays(old, from)) {
      const gone = old;
      old = old.nextSibling;
      gone.remove();
    }
  }
  while (old) {
    const gone = old;
    old = old.nextSibling;
    gone.remove();
  }
}

function renew(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
  } else if (old.nodeType === Node.ELEMENT_NODE && !old.hasAttribute("data-keep")) {
    attributes(old, next);
    if (!(old instanceof HTMLTimeElement)) morph(old, next);
  }
}

// stays tells a node that comes later in the new page: something was put
// before it.
function stays(old, from) {
  if (old.nodeType !== Node.ELEMENT_NODE) return false;
  return [...from.children].some((n) => (old.id ? n.id === old.id : n.isEqualNode(old)));
}

function same(a, b) {
  if (a.nodeType !== b.nodeType) return false;
  if (a.nodeType !== Node.ELEMENT_NODE) return a.nodeType === Node.TEXT_NODE;
  return a.tagName === b.tagName && a.id === b.id && (a.className === b.className || a.namespaceURI === "http://www.w3.org/2000/svg") && a.getAttribute("src") === b.getAttribute("src");
}

const own = new Set(["open", "data-sent"]); // set by the user, or by scripts

function attributes(old, next) {
  if (old instanceof HTMLTimeElement && old.dateTime !== next.dateTime) old.removeAttribute("title");
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !own.has(name) && !(name === "title" && old instanceof HTMLTimeElement)) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (own.has(name) || old.getAttribute(name) === value) continue;
    old.setAttribute(name, value);
    if (name === "value" && old instanceof HTMLInputElement && old !== document.activeElement) old.value = value;
  }
}
