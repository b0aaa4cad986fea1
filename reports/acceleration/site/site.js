"use strict";
// Sorting, filtering and the colour scheme. All that is on the page is there without this file.
(() => {
  const root = document.documentElement;

  function remember(key, value) {
    try { localStorage.setItem(key, value); } catch { /* a page from a file may not store anything */ }
  }
  function recall(key) {
    try { return localStorage.getItem(key); } catch { return null; }
  }

  function theme() {
    const button = document.querySelector(".theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const now = () => root.dataset.theme || (system.matches ? "dark" : "light");
    const label = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; };
    const kept = recall("thbench-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    button.hidden = false;
    label();
    system.addEventListener("change", label);
    button.addEventListener("click", () => {
      root.dataset.theme = now() === "dark" ? "light" : "dark";
      remember("thbench-theme", root.dataset.theme);
      label();
    });
  }

  // What a cell is sorted by: smaller first; null without a value, which always comes last.
  function keyOf(cell, numeric) {
    if (!cell) return null;
    if (numeric) return cell.dataset.k === undefined ? null : Number(cell.dataset.k);
    const text = cell.textContent.trim();
    const number = Number(text.replace("\u221e", "Infinity"));
    return text === "" || text === "\u2014" ? null : Number.isNaN(number) ? text : number;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sortable(table) {
    const head = [...table.tHead.rows].at(-1);
    const main = table.id === "leaderboard";
    const bodies = [...table.tBodies].map((body) => [body, [...body.rows].filter((row) => !row.classList.contains("kind"))]);
    const status = document.createElement("p");
    status.className = "sr";
    status.setAttribute("aria-live", "polite");
    table.parentElement.after(status);

    function sort(th, index) {
      const before = th.dataset.order;
      for (const other of head.cells) { delete other.dataset.order; other.removeAttribute("aria-sort"); }
      const order = before === "first" ? "last" : before === "last" ? "" : "first";
      if (order) {
        th.dataset.order = order;
        const falling = (order === "first") === (th.dataset.dir === "higher");
        th.setAttribute("aria-sort", th.dataset.dir === "closer-to-real" ? "other" : falling ? "descending" : "ascending");
      }
      for (const [body, rows] of bodies) {
        const keyed = rows.map((row, place) => [keyOf(row.cells[index], main && index > 0), place, row]);
        if (order) {
          const sign = order === "first" ? 1 : -1;
          keyed.sort(([a, i], [b, j]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)) || i - j);
        }
        body.append(...keyed.map(([, , row]) => row));
      }
      const name = th.querySelector(".label").textContent.trim();
      status.textContent = order ? `Sorted by ${name}, ${main && index ? (order === "first" ? "best" : "worst") : order === "first" ? "smallest" : "largest"} first` : "Original order";
    }

    [...head.cells].forEach((th, index) => {
      const label = th.querySelector(".label");
      if (!label) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      label.replaceWith(button);
      button.append(label);
      button.addEventListener("click", () => sort(th, index));
    });
  }

  function filter(table) {
    const box = document.querySelector(".filter");
    if (!box || !table) return;
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.classList.contains("kind"));
    const names = rows.map((row) => row.cells[0].textContent.toLowerCase());
    const output = box.querySelector("output");
    box.hidden = false;
    box.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => names[i].includes(word));
        shown += !row.hidden;
      });
      output.textContent = words.length ? `${shown} of ${rows.length}` : "";
    });
  }

  theme();
  for (const table of document.querySelectorAll("#leaderboard, table[data-sortable]")) sortable(table);
  filter(document.getElementById("leaderboard"));
  root.dataset.ready = "true";
})();
