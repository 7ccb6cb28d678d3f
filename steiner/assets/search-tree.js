/* Draws a list of step cards as a search tree beside it.

   <div data-search>  <figure data-tree></figure>  <ol data-steps><li data-kind data-parent ...></ol>

   The cards are the data: without this script they can still be read in order. Each <li> carries
   data-kind (proceed, backtrack, dead, goal, end), data-parent (index of the card it goes on from,
   empty for the question), data-status, data-label, data-faults and data-back (where a backtrack
   returns to). `SearchTree.draw(element)` draws again after cards were added. Needs d3-hierarchy. */
"use strict";

const SearchTree = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LABEL_CHARS = 13, LABEL_LINES = 3, LONGEST_LINE = 18, LINE_PX = 12, PLAY_MS = 750;
  const WIDE_PX = 720;
  const KIND_WORDS = {
    proceed: "proceeds", backtrack: "turns back", dead: "dead end, turns back",
    goal: "goal", end: "stops short of a goal",
  };
  const SHAPES = {
    question: "M-15-11h30a4 4 0 0 1 4 4v14a4 4 0 0 1-4 4h-30a4 4 0 0 1-4-4v-14a4 4 0 0 1 4-4z",
    proceed: "M0-14a14 14 0 1 1 0 28a14 14 0 1 1 0-28z",
    backtrack: "M0-17.5L17.5 0L0 17.5L-17.5 0z",
    dead: "M-12.5-12.5h25v25h-25z",
    goal: star(8, 20, 15.2),
    end: "M-18-13h36l-18 32z",
  };

  function star(points, outer, inner) {
    const at = (i) => {
      const angle = Math.PI * i / points - Math.PI / 2, radius = i % 2 ? inner : outer;
      return `${(radius * Math.cos(angle)).toFixed(1)} ${(radius * Math.sin(angle)).toFixed(1)}`;
    };
    return "M" + Array.from({ length: 2 * points }, (_, i) => at(i)).join("L") + "z";
  }

  function svg(name, attributes = {}, text = "") {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  }

  /* "Step 3: suppose Ann is a knight" -> ["suppose Ann", "is a knight"], of about equal length */
  function wrapped(text) {
    const words = text.replace(/^[^:]{0,14}\d+:\s*/, "").split(/\s+/);
    const length = words.join(" ").length;
    const limit = Math.max(8, Math.ceil(length / Math.ceil(length / LABEL_CHARS)) + 1);
    const lines = [""];
    for (const word of words) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      if (longer.length <= limit || !lines.at(-1)) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    if (lines.length > LABEL_LINES) {
      lines.length = LABEL_LINES;
      lines[LABEL_LINES - 1] += " …";
    }
    return lines.map((line) => line.length > LONGEST_LINE
      ? `${line.slice(0, LONGEST_LINE - 1)}…` : line);
  }

  function readSteps(cards) {
    return cards.map((card, index) => ({
      index, card, kind: card.dataset.kind, status: card.dataset.status,
      parent: card.dataset.parent, back: card.dataset.back,
      faults: card.dataset.faults, label: card.dataset.label, lines: wrapped(card.dataset.label),
    }));
  }

  function layOut(steps) {
    const rows = [{ id: "question" }, ...steps.map((step) => ({
      id: String(step.index), parent: step.parent === "" ? "question" : step.parent, step,
    }))];
    const root = d3.stratify().parentId((row) => row.parent)(rows);
    const widest = Math.max(6, ...steps.flatMap((step) => step.lines.map((line) => line.length)));
    const tallest = Math.max(1, ...steps.map((step) => step.lines.length));
    d3.tree().nodeSize([Math.max(48, widest * 6 + 12), 68 + tallest * LINE_PX])
      .separation(() => 1)(root);
    return { root, half: widest * 3 + 6, below: 24 + tallest * LINE_PX };
  }

  /* From below a node's label to the top of its child. */
  function curve(a, b) {
    const top = a.y + (a.data.step ? 24 + a.data.step.lines.length * LINE_PX : 11);
    const bottom = b.y - 15, middle = (top + bottom) / 2;
    return `M${a.x} ${top}C${a.x} ${middle} ${b.x} ${middle} ${b.x} ${bottom}`;
  }

  /* A bow from a node back up to the one where the search goes on. */
  function bow(a, b) {
    const side = a.x >= b.x ? 1 : -1, reach = 34 + Math.abs(a.y - b.y) / 7;
    const x = (side > 0 ? Math.max(a.x, b.x) : Math.min(a.x, b.x)) + side * reach;
    return `M${a.x + side * 15} ${a.y}C${x} ${a.y} ${x} ${b.y} ${b.x + side * 17} ${b.y}`;
  }

  function edgeOf(node) {
    const edge = svg("path", { class: "edge", d: curve(node.parent, node) });
    if (node.data.step.kind === "dead" || node.data.step.kind === "backtrack") {
      edge.classList.add("edge-left");
    }
    return edge;
  }

  function nodeOf(node) {
    const step = node.data.step;
    const group = svg("g", { class: "node", transform: `translate(${node.x} ${node.y})` });
    if (!step) {
      group.classList.add("kind-question");
      group.append(svg("path", { class: "shape", d: SHAPES.question }),
        svg("text", { class: "number", dy: "0.35em" }, "?"), svg("title", {}, "The question"));
      return group;
    }
    group.classList.add(`kind-${step.kind}`);
    if (step.status === "dead" && step.kind === "proceed") group.classList.add("is-doomed");
    group.append(svg("path", { class: "shape", d: SHAPES[step.kind] }),
      svg("text", { class: "number", dy: "0.35em" }, step.index + 1));
    group.append(labelOf(step));
    if (step.faults) group.append(
      svg("circle", { class: "fault", cx: 14, cy: -13, r: 6.5 }),
      svg("text", { class: "fault-mark", x: 14, y: -13, dy: "0.35em" }, "!"));
    group.append(svg("title", {}, spoken(step)));
    return group;
  }

  function labelOf(step) {
    const label = svg("text", { class: "label", y: 30 });
    step.lines.forEach((line, i) => label.append(
      svg("tspan", { x: 0, dy: i ? LINE_PX : 0 }, line)));
    return label;
  }

  function spoken(step) {
    const faults = step.faults ? ` (${step.faults})` : "";
    return `Step ${step.index + 1}, ${KIND_WORDS[step.kind]}${faults}: ${step.label}`;
  }

  function draw(element) {
    const figure = element.querySelector("[data-tree]");
    const list = element.querySelector("[data-steps]");
    const steps = readSteps([...list.children]);
    const { root, half, below } = layOut(steps);
    const nodes = root.descendants();
    const xs = nodes.map((node) => node.x), ys = nodes.map((node) => node.y);
    const left = Math.min(...xs) - half - 14, right = Math.max(...xs) + half + 30;
    const width = right - left, height = Math.max(...ys) + below + 34;
    const picture = svg("svg", {
      class: "tree", viewBox: `${left} -24 ${width} ${height}`, width, height, role: "tree",
      "aria-label": `Search tree of ${steps.length} steps`,
    });
    const scale = Math.min(1.35, Math.max(1, 500 / width));
    picture.setAttribute("width", width * scale);
    picture.setAttribute("height", height * scale);
    picture.style.minWidth = `${Math.round(width * 0.8)}px`;
    element.classList.toggle("is-wide", width > WIDE_PX);
    const places = new Map(nodes.map((node) => [node.data.id, node]));
    const state = { element, list, steps, places, picture, edges: new Map(), groups: new Map() };
    for (const node of nodes.slice(1)) {
      const edge = edgeOf(node);
      state.edges.set(node.data.id, edge);
      picture.append(edge);
    }
    state.bow = svg("path", { class: "bow" });
    picture.append(state.bow);
    for (const node of nodes) {
      const group = nodeOf(node);
      picture.append(group);
      if (node.data.step) listen(state, node.data.step, group, node.depth);
    }
    const scroller = document.createElement("div");
    scroller.className = "tree-scroller";
    scroller.append(picture);
    state.scroller = scroller;
    figure.replaceChildren(scroller, controls(state));
    return state;
  }

  function listen(state, step, group, level) {
    state.groups.set(String(step.index), group);
    group.setAttribute("role", "treeitem");
    group.setAttribute("aria-level", level);
    group.setAttribute("aria-label", spoken(step));
    group.setAttribute("tabindex", step.index === 0 ? "0" : "-1");
    const here = () => activate(state, step.index);
    group.addEventListener("focus", here);
    group.addEventListener("mouseenter", here);
    group.addEventListener("click", () => group.focus());
    group.addEventListener("keydown", (event) => {
      const target = neighbour(state, step, event.key);
      if (target === null) return;
      event.preventDefault();
      state.groups.get(String(target))?.focus();
    });
    step.card.addEventListener("mouseenter", () => activate(state, step.index, false));
  }

  /* Down and up follow the search in time; left and right go to the parent and the first child. */
  function neighbour(state, step, key) {
    const last = state.steps.length - 1;
    if (key === "ArrowDown") return Math.min(last, step.index + 1);
    if (key === "ArrowUp") return Math.max(0, step.index - 1);
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key === "ArrowLeft") return step.parent === "" ? step.index : Number(step.parent);
    if (key === "ArrowRight") {
      return state.steps.find((other) => other.parent === String(step.index))?.index ?? step.index;
    }
    return null;
  }

  function activate(state, index, scroll = true) {
    const step = state.steps[index], node = state.places.get(String(index));
    for (const [id, group] of state.groups) {
      group.classList.toggle("is-active", id === String(index));
      group.setAttribute("tabindex", id === String(index) ? "0" : "-1");
    }
    const path = new Set(node.ancestors().map((ancestor) => ancestor.data.id));
    for (const [id, edge] of state.edges) edge.classList.toggle("on-path", path.has(id));
    for (const other of state.steps) {
      other.card.classList.toggle("is-active", other.index === index);
    }
    const back = state.places.get(step.back === "" ? "question" : step.back);
    const returns = step.back !== undefined && back;
    state.bow.setAttribute("d", returns ? bow(node, back) : "");
    const { viewBox, clientWidth } = state.picture;
    const place = (node.x - viewBox.baseVal.x) / viewBox.baseVal.width * clientWidth;
    state.scroller.scrollLeft = place - state.scroller.clientWidth / 2;
    if (scroll && state.list.scrollHeight > state.list.clientHeight) {
      const { offsetTop, offsetHeight } = step.card;
      state.list.scrollTop = offsetTop - (state.list.clientHeight - offsetHeight) / 2;
    }
  }

  function reveal(state, count) {
    for (const step of state.steps) {
      const later = step.index >= count;
      state.groups.get(String(step.index)).classList.toggle("is-later", later);
      state.edges.get(String(step.index)).classList.toggle("is-later", later);
      step.card.classList.toggle("is-later", later);
    }
    if (count > 0) activate(state, count - 1);
  }

  function controls(state) {
    const box = document.createElement("figcaption");
    box.className = "controls";
    const button = document.createElement("button");
    button.type = "button";
    const slider = document.createElement("input");
    const last = state.steps.length;
    Object.assign(slider, { type: "range", min: 1, max: last, value: last });
    slider.setAttribute("aria-label", "Steps shown");
    const count = document.createElement("output");
    let timer = null;
    const show = (value) => {
      slider.value = value;
      count.textContent = `step ${value} of ${last}`;
      slider.setAttribute("aria-valuetext", spoken(state.steps[value - 1]));
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    const forward = () => {
      const value = Number(slider.value) + 1;
      show(value);
      reveal(state, value);
      if (value >= last) stop();
    };
    button.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) >= last) {
        show(1);
        reveal(state, 1);
      }
      if (last > 1) {
        timer = setInterval(forward, PLAY_MS);
        button.textContent = "Pause";
      }
    });
    slider.addEventListener("input", () => {
      stop();
      show(Number(slider.value));
      reveal(state, Number(slider.value));
    });
    stop();
    show(last);
    box.append(button, slider, count);
    return box;
  }

  /* Puts the shape of its kind into every <svg data-glyph="kind">. */
  function drawGlyphs(root) {
    for (const glyph of root.querySelectorAll("[data-glyph]")) {
      glyph.replaceChildren(svg("path", { class: "shape", d: SHAPES[glyph.dataset.glyph] }));
    }
  }

  function drawAll(root = document) {
    drawGlyphs(root);
    return [...root.querySelectorAll("[data-search]")].map(draw);
  }

  return { draw, drawAll };
})();
