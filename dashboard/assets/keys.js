// Keys: g and a letter go to a page, j and k through rows, / to the filter.
export function keys(toggleTheme) {
  let went = -Infinity;
  document.addEventListener("keydown", (e) => {
    // A dialog that was closed keeps the focus until the next frame.
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, dialog[open], [data-keys]")) return;
    const afterG = e.timeStamp - went < 1500;
    went = -Infinity;
    if (afterG) {
      const link = document.querySelector(`nav a[data-key="${CSS.escape(e.key)}"]`);
      if (link) link.click();
      return;
    }
    const act = {
      g: () => { went = e.timeStamp; },
      "/": toFilter,
      j: () => move(1),
      k: () => move(-1),
      t: toggleTheme,
      "?": () => document.getElementById("keys").showModal(),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });
}

function toFilter() {
  const filter = document.getElementById("q");
  if (filter) {
    filter.focus();
    filter.select();
  } else location.href = `${document.body.dataset.root}jobs`;
}

function move(by) {
  const rows = [...document.querySelectorAll("a[data-row]")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by));
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
}
