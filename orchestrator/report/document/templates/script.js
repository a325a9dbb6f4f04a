"use strict";
// Tables sort by their columns, folds open and close together, printing opens them. Without this the page is whole.
(() => {
  const UNITS = { h: 3600, min: 60, s: 1, KiB: 2 ** -10, MiB: 1, GiB: 2 ** 10 };
  const PARTS = /^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(h|min|s|KiB|MiB|GiB)?(?![\w.])\s*/;

  // The cell's own text, without what stands beside it.
  const textOf = (cell) =>
    [...cell.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("").trim();

  // What a printed number says: "1 min 05 s" is 65, "< 0.001" is just below 0.001; NaN for a dash.
  const amount = (text) => {
    if (text === "·") return 0;
    let rest = text.replace(/^\[/, "").replaceAll("−", "-").replace(/[\u202f\u00a0,](?=\d)/g, "");
    const below = rest.startsWith("<");
    rest = rest.replace(/^<\s*/, "");
    let total = NaN;
    for (let found = PARTS.exec(rest); found; found = PARTS.exec(rest)) {
      total = (Number.isNaN(total) ? 0 : total) + Number(found[1]) * (UNITS[found[2]] ?? 1);
      rest = rest.slice(found[0].length);
      if (!found[2]) break;
    }
    return below ? total - 1e-9 : total;
  };

  const collator = new Intl.Collator("en", { numeric: true });
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const original = [...body.rows];
    if (original.length < 2) return;
    const missing = (text) => text === "" || text === "–";
    const sort = (head, column) => {
      const texts = new Map(original.map((row) => [row, textOf(row.cells[column])]));
      const numeric = [...texts.values()].every((text) => missing(text) || !Number.isNaN(amount(text)));
      const keys = new Map([...texts].map(([row, text]) => [row, numeric ? amount(text) : text]));
      const turn = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const order = turn[(turn.indexOf(head.getAttribute("aria-sort")) + 1) % turn.length];
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      if (order === null) return body.append(...original);
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const compare = (one, other) => (numeric ? one - other : collator.compare(one, other));
      body.append(...original.toSorted((first, second) => {
        const [one, other] = [missing(texts.get(first)), missing(texts.get(second))];
        return one - other || (one ? 0 : sign * compare(keys.get(first), keys.get(second)));
      }));
    };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(head, column));
      head.append(button);
    });
  };
  document.querySelectorAll("table").forEach(sortable);

  const folds = [...document.querySelectorAll("details")];
  const all = document.getElementById("all-folds");
  if (folds.length > 1) {
    const name = () => { all.textContent = folds.every((one) => one.open) ? "Close all folds" : "Open all folds"; };
    all.addEventListener("click", () => {
      const open = !folds.every((one) => one.open);
      folds.forEach((one) => { one.open = open; });
    });
    folds.forEach((one) => one.addEventListener("toggle", name));
    name();
    all.hidden = false;
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folds.filter((one) => !one.open);
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));

  // The readout of a figure: where the pointer is, in the axes' own units.
  document.querySelectorAll("[data-axes]").forEach((figure) => {
    const told = figure.dataset.axes.split(" ");
    const [left, top, right, bottom, x0, x1, y0, y1] = told.slice(0, 8).map(Number);
    const at = (low, high, share, scale) => (scale === "log" ? low * (high / low) ** share : low + (high - low) * share);
    const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
    const readout = document.createElement("span");
    readout.className = "readout";
    figure.append(readout);
    figure.addEventListener("pointermove", (event) => {
      const box = figure.firstElementChild.getBoundingClientRect();
      const across = ((event.clientX - box.left) / box.width - left) / (right - left);
      const up = (bottom - (event.clientY - box.top) / box.height) / (bottom - top);
      const inside = across >= 0 && across <= 1 && up >= 0 && up <= 1;
      readout.textContent = inside ? `${short(at(x0, x1, across, told[8]))}, ${short(at(y0, y1, up, told[9]))}` : "";
    });
    figure.addEventListener("pointerleave", () => { readout.textContent = ""; });
  });

  // What a link leads to must not lie under the bar of links.
  const bar = document.querySelector("nav");
  const clear = () => document.documentElement.style.setProperty("scroll-padding-top", `${bar.offsetHeight}px`);
  new ResizeObserver(clear).observe(bar);
})();
