// Times become relative ones, in words, that go on by themselves.
const zone = Intl.DateTimeFormat().resolvedOptions();
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function words(seconds) {
  const n = Math.abs(seconds);
  if (n < 1) return "now";
  const at = units.findIndex(([, size]) => n >= size);
  const [unit, size] = units[at];
  let text = `${Math.floor(n / size)} ${unit}`;
  const next = units[at + 1];
  if (next && n / size < 10 && unit !== "min") {
    const rest = Math.floor((n % size) / next[1]);
    if (rest) text += ` ${rest} ${next[0]}`;
  }
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

function show() {
  const now = Date.now();
  for (const t of document.querySelectorAll("time[datetime]")) {
    const at = new Date(t.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const text = t.classList.contains("clock") ? clock.format(at) : words((now - at) / 1000);
    if (t.textContent !== text) t.textContent = text;
    if (!t.title) t.title = full.format(at);
  }
}

export function times() {
  document.getElementById("zone").textContent = zone.timeZone;
  show();
  setInterval(show, 1000);
  document.addEventListener("stint:page", show);
}
