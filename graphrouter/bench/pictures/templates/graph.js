"use strict";
(() => {
  const graph = document.getElementById("graph");
  const story = document.getElementById("story");
  const stories = JSON.parse(document.getElementById("stories").textContent).nodes;
  const nodes = [...graph.querySelectorAll(".node")];
  const edges = [...graph.querySelectorAll("line")];
  const hint = [...story.childNodes].map((child) => child.cloneNode(true));

  // Texts come from data: they are set as text, never as HTML.
  function make(name, text) {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function tabulate({ head, rows }) {
    const table = make("table");
    const top = make("thead").appendChild(make("tr"));
    head.forEach((text) => top.append(make("th", text)));
    const body = make("tbody");
    for (const row of rows) {
      const line = make("tr");
      row.forEach((text) => line.append(make("td", text)));
      body.append(line);
    }
    table.append(top.parentNode, body);
    return table;
  }

  function ask(node) {
    const number = node.dataset.n;
    const near = new Set();
    graph.classList.add("asked");
    for (const edge of edges) {
      const isLit = edge.dataset.f === number || edge.dataset.t === number;
      edge.classList.toggle("lit", isLit);
      if (isLit) near.add(edge.dataset.f).add(edge.dataset.t);
    }
    for (const each of nodes) {
      each.classList.toggle("here", each === node);
      each.classList.toggle("near", near.has(each.dataset.n));
    }
    const told = stories[number];
    story.replaceChildren(
      make("h2", `${told.kind} ${told.title}`),
      ...told.lines.map((line) => make("p", line)),
      ...told.tables.map(tabulate),
    );
    story.scrollTop = 0;
    document.documentElement.dataset.asked = number;
  }

  function clear() {
    graph.classList.remove("asked");
    nodes.forEach((each) => each.classList.remove("here", "near"));
    edges.forEach((each) => each.classList.remove("lit"));
    story.replaceChildren(...hint.map((child) => child.cloneNode(true)));
  }

  graph.addEventListener("click", (event) => {
    const node = event.target.closest(".node");
    if (node) ask(node); else clear();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    if ((event.key === "Enter" || event.key === " ") && event.target.matches?.(".node")) {
      event.preventDefault();
      ask(event.target);
    }
  });
  const wanted = /^#node-(\d+)$/.exec(location.hash);  // a link to a node
  if (wanted && nodes[wanted[1]]) ask(nodes[wanted[1]]);
})();
