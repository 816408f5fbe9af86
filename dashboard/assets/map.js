// <index-map> draws the indexes of a job as tiles. A tile stands for one index
// or for many: its fill tells how many of them have succeeded, a corner that
// some have failed, a frame that some are active and a dot that some wait for
// another attempt. So nothing is told by colour alone. A click, or Enter, goes
// into a tile until it is one index, and that opens its page.
const side = 15; // of a tile with its gap
const gap = 2;

class IndexMap extends HTMLElement {
  #stack = []; // ranges gone into
  #data;
  #at = 0; // tile with the cursor
  #shown = false; // the cursor
  #busy = false;
  #canvas;
  #say;
  #where;
  #out;
  #resize;
  #refresh = () => this.#load();
  #redraw = () => this.#draw();

  connectedCallback() {
    this.#build();
    this.#resize = new ResizeObserver(() => this.#load());
    this.#resize.observe(this);
    document.addEventListener("stint:page", this.#refresh);
    document.addEventListener("stint:theme", this.#redraw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.#redraw);
  }

  disconnectedCallback() {
    this.#resize?.disconnect();
    document.removeEventListener("stint:page", this.#refresh);
    document.removeEventListener("stint:theme", this.#redraw);
    matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.#redraw);
  }

  #build() {
    const tools = element("div", { className: "tools" });
    this.#out = element("button", { className: "button small", type: "button", textContent: "Zoom out", disabled: true });
    this.#out.addEventListener("click", () => this.#leave());
    this.#where = element("span", { className: "where dim" });
    tools.append(this.#out, this.#where);
    this.#canvas = element("canvas", { tabIndex: 0, width: 1000, height: 60 });
    this.#canvas.setAttribute("role", "application");
    this.#canvas.setAttribute("aria-label", "Map of the indexes: arrow keys move, Enter goes in, Backspace out");
    this.#canvas.dataset.keys = "";
    this.#say = element("p", { className: "say" });
    this.#say.setAttribute("aria-live", "polite");
    const legend = element("ul", { className: "legend" });
    for (const [name, text] of [["ok", "succeeded"], ["bad", "failed (corner)"], ["run", "active (frame)"], ["wait", "waits for a retry (dot)"], ["", "not started"]]) {
      const item = element("li");
      item.append(element("i", { className: name }), text);
      legend.append(item);
    }
    this.replaceChildren(tools, this.#canvas, this.#say, legend);
    this.#canvas.addEventListener("pointermove", (e) => this.#point(this.#tileAt(e)));
    this.#canvas.addEventListener("pointerleave", () => this.#point(-1));
    this.#canvas.addEventListener("click", (e) => {
      const tile = this.#tileAt(e);
      if (tile >= 0) this.#enter(tile);
    });
    this.#canvas.addEventListener("keydown", (e) => this.#key(e));
    this.#canvas.addEventListener("blur", () => { this.#shown = false; this.#draw(); });
  }

  get #range() { return this.#stack.at(-1) ?? [0, Math.min(Number(this.getAttribute("total")), 1 << 23) - 1]; }
  get #columns() { return Math.max(8, Math.floor((this.clientWidth + gap) / side)); }

  async #load() {
    if (this.#busy || !this.clientWidth) return;
    this.#busy = true;
    const [from, to] = this.#range;
    const tiles = Math.min(4096, this.#columns * 20);
    try {
      const answer = await fetch(`${this.getAttribute("src")}?from=${from}&to=${to}&tiles=${tiles}`);
      const data = await answer.json();
      if (!answer.ok) throw new Error(data.error);
      this.#data = data;
      this.#at = Math.min(this.#at, Math.max(0, data.tiles.length - 1));
      this.#where.classList.remove("problem");
      this.#draw();
    } catch (e) {
      this.#where.textContent = `The map could not be read: ${e.message}`;
      this.#where.classList.add("problem");
    }
    this.#busy = false;
    const [f, t] = this.#range;
    if (f !== from || t !== to) this.#load(); // gone elsewhere meanwhile
  }

  #span(tile) {
    const from = this.#data.from + tile * this.#data.size;
    return [from, Math.min(from + this.#data.size - 1, this.#data.to)];
  }

  #draw() {
    const data = this.#data;
    if (!data) return;
    const columns = this.#columns;
    const rows = Math.max(1, Math.ceil(data.tiles.length / columns));
    const scale = devicePixelRatio || 1;
    const width = columns * side - gap;
    const height = rows * side - gap;
    const canvas = this.#canvas;
    const whole = this.clientWidth;
    if (canvas.width !== Math.round(whole * scale) || canvas.height !== Math.round(height * scale * whole / width)) {
      canvas.width = Math.round(whole * scale);
      canvas.height = Math.round(height * scale * whole / width);
    }
    const c = canvas.getContext("2d");
    const look = getComputedStyle(this);
    const color = (name) => look.getPropertyValue(`--${name}`);
    c.setTransform(canvas.width / width, 0, 0, canvas.width / width, 0, 0);
    c.clearRect(0, 0, width, height + 1);
    data.tiles.forEach((tile, i) => {
      paint(c, (i % columns) * side, Math.floor(i / columns) * side, tile, this.#size(i), color);
    });
    if (this.#shown) {
      c.strokeStyle = color("text");
      c.lineWidth = 2;
      c.strokeRect((this.#at % columns) * side - 1, Math.floor(this.#at / columns) * side - 1, side - gap + 2, side - gap + 2);
    }
    const each = data.size === 1 ? "one index" : `${data.size.toLocaleString()} indexes`;
    this.#where.textContent = `${data.from.toLocaleString()} – ${data.to.toLocaleString()}, a tile is ${each}${data.partial ? "; only some of the active ones are shown" : ""}`;
    this.#out.disabled = this.#stack.length === 0;
    this.dataset.ready = `${data.from}-${data.to}`;
  }

  #size(tile) {
    const [from, to] = this.#span(tile);
    return to - from + 1;
  }

  #tileAt(e) {
    if (!this.#data) return -1;
    const box = this.#canvas.getBoundingClientRect();
    const columns = this.#columns;
    const unit = box.width / (columns * side - gap) * side;
    const column = Math.floor((e.clientX - box.left) / unit);
    const tile = Math.floor((e.clientY - box.top) / unit) * columns + column;
    return column < columns && tile < this.#data.tiles.length ? tile : -1;
  }

  #point(tile) {
    if (tile < 0 || !this.#data?.tiles.length) {
      this.#say.textContent = "";
      return;
    }
    const [from, to] = this.#span(tile);
    const n = to - from + 1;
    const [ok, bad, active, retry] = this.#data.tiles[tile];
    const parts = [[ok, "succeeded"], [bad, "failed"], [active, "active"], [retry, "waiting for a retry"], [n - ok - bad - active - retry, "not started"]]
      .filter(([count]) => count > 0).map(([count, what]) => (n === 1 ? what : `${count.toLocaleString()} ${what}`));
    this.#say.textContent = `${n === 1 ? `Index ${from.toLocaleString()}` : `${from.toLocaleString()} – ${to.toLocaleString()}`}: ${parts.join(", ")}`;
  }

  #enter(tile) {
    const [from, to] = this.#span(tile);
    if (from === to) {
      location.href = `${this.getAttribute("page")}?i=${from}`;
      return;
    }
    this.#stack.push([from, to]);
    this.#at = 0;
    this.#load();
  }

  #leave() {
    if (!this.#stack.length) return;
    this.#stack.pop();
    this.#load();
  }

  #key(e) {
    if (!this.#data || e.ctrlKey || e.metaKey || e.altKey) return;
    const columns = this.#columns;
    const last = this.#data.tiles.length - 1;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -this.#at, End: last - this.#at }[e.key];
    if (by !== undefined) {
      this.#at = this.#shown ? Math.max(0, Math.min(last, this.#at + by)) : this.#at;
      this.#shown = true;
      this.#draw();
      this.#point(this.#at);
    } else if (e.key === "Enter" && last >= 0) this.#enter(this.#at);
    else if (e.key === "Backspace" || e.key === "Escape") this.#leave();
    else return;
    e.preventDefault();
  }
}

function paint(c, x, y, [ok, bad, active, retry], n, color) {
  const s = side - gap;
  c.fillStyle = color("pending");
  c.fillRect(x, y, s, s);
  if (ok > 0) { // from below, and never all of it while something is missing
    const h = ok === n ? s : Math.max(2, Math.min(s - 2, Math.round(s * ok / n)));
    c.fillStyle = color("ok");
    c.fillRect(x, y + s - h, s, h);
  }
  if (bad > 0) {
    const size = bad === n ? s : Math.max(6, Math.round(s * Math.sqrt(bad / n)));
    c.fillStyle = color("bad");
    c.beginPath();
    c.moveTo(x + s - size, y);
    c.lineTo(x + s, y);
    c.lineTo(x + s, y + size);
    if (bad === n) c.lineTo(x, y + s);
    if (bad === n) c.lineTo(x, y);
    c.fill();
    if (bad === n) { // a cross
      c.strokeStyle = color("card");
      c.lineWidth = 1.5;
      c.beginPath();
      c.moveTo(x + 4, y + 4);
      c.lineTo(x + s - 4, y + s - 4);
      c.moveTo(x + s - 4, y + 4);
      c.lineTo(x + 4, y + s - 4);
      c.stroke();
    }
  }
  if (retry > 0) {
    c.fillStyle = color("wait");
    c.beginPath();
    c.arc(x + s / 2, y + s / 2, n === 1 ? 3.5 : 2.5, 0, 7);
    c.fill();
  }
  if (active > 0) {
    c.strokeStyle = color("run");
    c.lineWidth = 2.5;
    c.strokeRect(x + 1.25, y + 1.25, s - 2.5, s - 2.5);
  }
}

function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

customElements.define("index-map", IndexMap);
