/* How a search is drawn: the shape of each kind of step, its words, and where everything goes.

   steps { kind, parent, label } -> places of nodes, paths of edges

   Laid out by d3-hierarchy, which must be loaded before. For search-tree.js, which draws it. */
"use strict";

const SearchLayout = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LABEL_CHARS = 16, LABEL_LINES = 3, LONGEST_LINE = 20, LINE_PX = 13, CHAR_PX = 6.2;
  const SMALLEST = 0.66, LABELS_NEED = 0.82, LARGEST = 1.25; // scales of a fitted picture
  const TALLEST_GAP = 1.6; // how much farther apart levels may stand to fill their place
  const KIND_WORDS = {
    proceed: "proceeds", backtrack: "turns back", dead: "dead end, turns back",
    goal: "goal, answer verified", unverified: "ends, answer not checked",
    rejected: "ends, answer wrong", end: "stops short of a goal",
  };
  const SHAPES = {
    question: "M-15-11h30a4 4 0 0 1 4 4v14a4 4 0 0 1-4 4h-30a4 4 0 0 1-4-4v-14a4 4 0 0 1 4-4z",
    proceed: "M0-14a14 14 0 1 1 0 28a14 14 0 1 1 0-28z",
    backtrack: "M0-17.5L17.5 0L0 17.5L-17.5 0z",
    dead: "M-12.5-12.5h25v25h-25z",
    goal: star(8, 20, 15.2),
    unverified: "M-9-16h18l9 16l-9 16h-18l-9-16z",
    rejected: "M0-8l8-8l8 8l-8 8l8 8l-8 8l-8-8l-8 8l-8-8l8-8l-8-8l8-8z",
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
    if (text !== "") element.textContent = text;
    return element;
  }

  /* The shape of a kind by itself, for legends and cards. */
  function glyph(kind) {
    const picture = svg("svg", {
      class: `glyph kind-${kind}`, viewBox: "-21 -21 42 42", "aria-hidden": "true",
    });
    picture.append(svg("path", { class: "shape", d: SHAPES[kind] }));
    return picture;
  }

  /* "Step 3 from 9 5: 9 - 5 = 4" -> "9 - 5 = 4": the tree tells what it goes on from. */
  function shortened(label) {
    return label.replace(/^\S+ \d+\b[^:]{0,120}:\s*(?=\S)/, "");
  }

  /* "suppose Ann is a knight" -> ["suppose Ann", "is a knight"], of about equal length */
  function wrapped(text) {
    const words = shortened(text).split(/\s+/);
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

  function spoken(step, index) {
    const faults = step.faults ? ` (${step.faults})` : "";
    const became = step.draft ? "being written" : step.became ?? KIND_WORDS[step.kind];
    return `Step ${index + 1}, ${became}${faults}: ${step.label}`;
  }

  /* Where everything goes: the nodes of d3, and the box around them. */
  function layOut(steps, lines, room) {
    const rows = [{ id: "question" }, ...steps.map((step, index) => ({
      id: String(index), parent: step.parent === null ? "question" : String(step.parent),
    }))];
    const root = d3.stratify().parentId((row) => row.parent)(rows);
    const widest = Math.max(6, ...lines.flat().map((line) => line.length));
    const tallest = Math.max(1, ...lines.map((one) => one.length));
    const labelled = arrange(root, {
      width: widest * CHAR_PX + 14, height: 60 + tallest * LINE_PX,
      half: widest * CHAR_PX / 2 + 8, below: 26 + tallest * LINE_PX, labels: true,
    });
    if (!room) return labelled;
    if (labelled.width * LABELS_NEED <= room.width) return stretched(labelled, room);
    const bare = { width: 44, height: 62, half: 22, below: 24, labels: false };
    return stretched(arrange(root, bare), room);
  }

  /* The same with its levels farther apart, where there is height to fill. */
  function stretched(layout, room) {
    const { top, height, places } = layout, deepest = Math.max(...places.map(({ y }) => y));
    const scale = Math.min(LARGEST, room.width / layout.width);
    const gap = deepest ? 1 + (room.height / scale - height) / deepest : 1;
    const by = Math.min(TALLEST_GAP, Math.max(1, gap));
    return {
      ...layout, top, height: height + deepest * (by - 1),
      places: places.map((place) => ({ ...place, y: place.y * by })),
    };
  }

  function arrange(root, { width, height, half, below, labels }) {
    d3.tree().nodeSize([Math.max(44, width), height]).separation(() => 1)(root);
    // In the order of the search, which is the one that a screen reader follows.
    const nodes = root.descendants().sort((a, b) => (Number(a.id) || 0) - (Number(b.id) || 0));
    const xs = nodes.map((node) => node.x), ys = nodes.map((node) => node.y);
    const left = Math.min(...xs) - half - 14, top = -22;
    return {
      labels, left, top, width: Math.max(...xs) + half + 14 - left,
      height: Math.max(...ys) + below + 4 - top,
      places: nodes.map(({ id, x, y, depth, parent }) => ({
        id, x, y, depth, parent: parent?.id ?? null,
        position: parent ? parent.children.findIndex((child) => child.id === id) + 1 : 1,
        siblings: parent ? parent.children.length : 1,
      })),
    };
  }

  /* From below a node's label to the top of its child. */
  function curve(a, b, below) {
    const top = a.y + below, bottom = b.y - 15, middle = (top + bottom) / 2;
    return `M${a.x} ${top}C${a.x} ${middle} ${b.x} ${middle} ${b.x} ${bottom}`;
  }

  /* A bow from a node back up to the one where the search goes on. */
  function bow(a, b) {
    const side = a.x >= b.x ? 1 : -1, reach = 34 + Math.abs(a.y - b.y) / 7;
    const x = (side > 0 ? Math.max(a.x, b.x) : Math.min(a.x, b.x)) + side * reach;
    return `M${a.x + side * 15} ${a.y}C${x} ${a.y} ${x} ${b.y} ${b.x + side * 20} ${b.y}`;
  }

  function labelOf(lines) {
    const label = svg("text", { class: "label", y: 30 });
    lines.forEach((line, i) => label.append(svg("tspan", { x: 0, dy: i ? LINE_PX : 0 }, line)));
    return label;
  }

  return {
    SHAPES, LINE_PX, SMALLEST, LABELS_NEED, LARGEST,
    svg, glyph, shortened, wrapped, spoken, layOut, labelOf, curve, bow,
  };
})();
