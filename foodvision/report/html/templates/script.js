"use strict";
// The report is whole without this script; it sorts, filters and points out.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const { axes, entries } = JSON.parse(one("#facts").textContent);

  // -- theme: as the system says, light, dark ---------------------------------------------------
  const THEMES = { "": "as the system", light: "light", dark: "dark" };
  const kept = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("foodvision-theme") || "";
      localStorage.setItem("foodvision-theme", value);
    } catch { /* a browser that keeps nothing */ }
    return value || "";
  };
  const setTheme = (theme) => {
    const known = theme in THEMES ? theme : "";
    if (known) document.documentElement.dataset.theme = known;
    else delete document.documentElement.dataset.theme;
    one("#theme-name").textContent = THEMES[known];
  };
  const themeButton = one("#theme");
  themeButton.hidden = false;
  setTheme(kept());
  themeButton.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const now = document.documentElement.dataset.theme || "";
    const next = names[(names.indexOf(now) + 1) % names.length];
    kept(next);
    setTheme(next);
  });

  // -- tables that sort --------------------------------------------------------------------------
  const compare = (column, sign) => (first, second) => {
    const [a, b] = [first, second].map((row) => row.cells[column].dataset.value ?? "");
    if (a === "" || b === "") return (a === "") - (b === "");  // what is not known comes last
    const [x, y] = [Number(a), Number(b)];
    const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
    return sign * order;
  };
  const sortBy = (heading) => {
    const table = heading.closest("table");
    const isAscending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of all("thead th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].sort(compare(heading.cellIndex, isAscending ? 1 : -1));
    body.append(...rows);
  };
  for (const button of all("table.sortable > thead button"))
    button.addEventListener("click", () => sortBy(button.closest("th")));

  // -- filters: one scope hides its own lines and curves ------------------------------------------
  const matches = (entry, words, wanted) =>
    words.every((word) => entry.label.toLowerCase().includes(word) || entry.status.includes(word)) &&
    wanted.every(([axis, value]) => entry.axes[axis] === value);
  const applyFilter = (scope) => {
    const words = one("[data-text]", scope).value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = all("[data-axis]", scope).filter((s) => s.value).map((s) => [s.dataset.axis, s.value]);
    const isShown = entries.map((entry) => matches(entry, words, wanted));
    for (const item of all("[data-entry]", scope)) {
      const shown = isShown[item.dataset.entry];
      if (item instanceof SVGElement) item.classList.toggle("is-out", !shown);
      else item.hidden = !shown;
    }
    const rows = all("tbody tr[data-entry]", scope);
    const output = one("[data-count]", scope);
    const shown = rows.filter((row) => !row.hidden).length;
    output.textContent = shown === rows.length ? `${rows.length} ${output.dataset.things}` : `${shown} of ${rows.length} ${output.dataset.things}`;
  };
  for (const scope of all("[data-scope]")) {
    scope.addEventListener("input", (event) => {
      if (event.target.matches("[data-text], [data-axis]")) applyFilter(scope);
    });
    applyFilter(scope);
  }
  for (const controls of all("[data-live]")) controls.hidden = false;

  // -- learning curves -----------------------------------------------------------------------------
  const learning = one("#learning");
  if (learning) {
    // Okabe & Ito's colours, in shades that stand out on light and on dark ground.
    const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#8c6bb1", "#7f7f7f"];
    const curves = all(".curve", learning);
    for (const radio of all("[name=split]"))
      radio.addEventListener("change", () => { learning.dataset.shows = radio.value; });
    const colour = one("#colour");
    const legend = one("#legend");
    const recolour = () => {
      const axis = colour.value;
      const values = axes[axis] ?? [];
      const shade = (value) => PALETTE[Math.min(values.indexOf(value), PALETTE.length - 1)];
      for (const curve of curves) {
        const value = entries[curve.dataset.entry].axes[axis];
        if (value === undefined) curve.style.removeProperty("--c");
        else curve.style.setProperty("--c", shade(value));
      }
      legend.replaceChildren(...values.map((value) => {
        const item = document.createElement("li");
        item.textContent = value;
        item.style.setProperty("--c", shade(value));
        return item;
      }));
      legend.hidden = !values.length;
    };
    if (colour) colour.addEventListener("change", recolour);
    const pointed = one("#pointed");
    const point = (curve) => {
      learning.classList.toggle("has-pointed", Boolean(curve));
      for (const each of curves)
        each.classList.toggle("is-pointed", Boolean(curve) && one("title", each).textContent === one("title", curve).textContent);
      pointed.textContent = curve ? one("title", curve).textContent : "\u00a0";
    };
    learning.addEventListener("pointerover", (event) => point(event.target.closest(".curve")));
    learning.addEventListener("pointerleave", () => point(null));
  }

  // -- confusion matrices: one at a time --------------------------------------------------------------
  const confused = one("#confused");
  if (confused) {
    const choose = () => {
      for (const each of all("[data-confusion]")) each.hidden = each.dataset.confusion !== confused.value;
    };
    confused.addEventListener("change", choose);
    choose();
  }

  // -- where the reader is ---------------------------------------------------------------------------
  const links = new Map(all(".chapters a").map((link) => [link.hash.slice(1), link]));
  const mark = () => {
    const reached = [...links.keys()].filter((id) => document.getElementById(id).getBoundingClientRect().top < 120);
    const current = reached.at(-1) ?? links.keys().next().value;
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  document.addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
  mark();

  // -- on paper, everything is open ---------------------------------------------------------------------
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])").filter((each) => !each.closest("th"));
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
})();
