"use strict";
(() => {
  const root = document.documentElement;
  const NARROW = 700;
  const note = (message) => { root.dataset.error = message; };
  addEventListener("error", (event) => note(event.message));
  addEventListener("unhandledrejection", (event) => note(String(event.reason)));
  addEventListener("securitypolicyviolation", (event) => note(`${event.violatedDirective}: ${event.blockedURI}`));

  // On a narrow screen the legend goes below, and the labels, placed for a wide plot, go away: the points can be touched.
  function fit(layout, width) {
    if (width >= NARROW) return layout;
    const legend = { ...layout.legend, orientation: "h", y: -0.25, yanchor: "top", x: 0, maxheight: 0.35, font: { size: 11 } };
    return { ...layout, annotations: [], legend, margin: { ...layout.margin, l: 45 }, font: { ...layout.font, size: 11 } };
  }

  function draw() {
    const places = [...document.querySelectorAll("[data-figure]")];
    const drawn = places.map((place) => {
      const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
      const layout = fit(figure.layout, place.clientWidth);
      return Plotly.newPlot(place, figure.data, layout, { responsive: true, displaylogo: false, showSendToCloud: false });
    });
    Promise.all(drawn).then(() => { root.dataset.plots = drawn.length; });
  }

  function sort(table, column, header) {
    const direction = header.ariaSort === "ascending" ? -1 : 1;
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left === "" || right === "") return (left === "") - (right === "");  // undefined figures stay below
      const isNumber = a.cells[column].dataset.key !== undefined;
      return direction * (isNumber ? left - right : left.localeCompare(right));
    };
    for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
    header.ariaSort = direction === 1 ? "ascending" : "descending";
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }

  document.addEventListener("DOMContentLoaded", () => {
    draw();
    for (const table of document.querySelectorAll("table.sortable")) {
      [...table.tHead.rows[0].cells].forEach((header, column) => {
        header.querySelector("button").addEventListener("click", () => sort(table, column, header));
      });
    }
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
})();
