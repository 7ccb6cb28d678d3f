/* Draws a search as a tree that can grow: the report and the page of `steiner serve` share it.

   new SearchTree.Tree(box, options).update(steps): a step is { kind, parent, label }, and may have
   { back, doomed, faults, draft, became }. `kind` is a key of SearchLayout.SHAPES, and
   `became` says it in other words; `parent` is the index of the step that it goes on from, null for
   the question; `back` the same for where a step that turned back returned to. Needs
   search-layout.js.

   Text is only ever set as text, and no style as markup, so that a strict Content-Security-Policy
   holds. A classic script, since the report has it inline. */
"use strict";

const SearchTree = (() => {
  const { SHAPES, LINE_PX, SMALLEST, LABELS_NEED, LARGEST, svg } = SearchLayout;
  const GLIDE_MS = 320, ARRIVED_PX = 6;

  const mixed = (a, b, t) => a + (b - a) * t;

  class Tree {
    #onActivate; #room; #animated;
    #parts = new Map(); #steps = []; #layout = null; #box = null; #frame = 0; #active = null;

    /* `onActivate(index)` hears which step was pointed at or focused. With `room()`, the width and
       height that there is in pixels, the picture is fitted into it; else it has its own size. */
    constructor(scroller, { onActivate = () => {}, room = null, animated = () => false } = {}) {
      this.scroller = scroller;
      this.#onActivate = onActivate;
      this.#room = room;
      this.#animated = animated;
      this.picture = svg("svg", { class: "tree" });
      this.edges = svg("g", { role: "none" });
      this.nodes = svg("g", { role: "none" });
      this.bow = svg("path", { class: "bow" });
      this.picture.append(this.edges, this.bow, this.nodes);
      scroller.replaceChildren(this.picture);
      this.update([]);
    }

    get width() { return this.#layout.width; }

    /* Draws these steps; what was there glides to its new place and keeps the focus. */
    update(steps) {
      const lines = steps.map((step) => SearchLayout.wrapped(step.label));
      this.#steps = steps;
      this.#layout = SearchLayout.layOut(steps, lines, this.#room?.());
      if (steps.length) this.picture.setAttribute("role", "tree");
      this.picture.setAttribute("aria-label", `Search tree, ${steps.length} steps`);
      for (const place of this.#layout.places) {
        const part = this.#parts.get(place.id) ?? this.#create(place);
        part.from = { ...part.at };
        part.to = place;
        if (place.id !== "question") this.#dress(part, Number(place.id), lines[place.id]);
      }
      this.#removeFrom(steps.length);
      this.#glide();
    }

    #create(place) {
      const start = this.#parts.get(place.parent)?.at ?? place;
      const part = { at: { x: start.x, y: start.y }, below: 11 };
      part.group = svg("g", { class: "node" });
      this.#parts.set(place.id, part);
      this.nodes.append(part.group);
      if (place.id === "question") {
        part.group.classList.add("kind-question");
        part.group.append(svg("path", { class: "shape", d: SHAPES.question }),
          svg("text", { class: "number", dy: "0.35em" }, "?"), svg("title", {}, "The question"));
        return part;
      }
      // A new node starts at its parent, whose label its own would cover.
      part.group.classList.add("is-arriving");
      part.edge = svg("path", { class: "edge" });
      this.edges.append(part.edge);
      this.#listen(part.group, Number(place.id));
      return part;
    }

    #dress(part, index, lines) {
      const step = this.#steps[index], { group, edge, to } = part;
      const labelled = this.#layout.labels;
      part.below = labelled ? 26 + lines.length * LINE_PX : 17;
      edge.classList.toggle("edge-left", step.kind === "dead" || step.kind === "backtrack");
      edge.classList.toggle("is-draft", Boolean(step.draft));
      const look = JSON.stringify([step, labelled]);
      const position = { "aria-level": to.depth, "aria-posinset": to.position };
      for (const [key, value] of Object.entries({ ...position, "aria-setsize": to.siblings })) {
        group.setAttribute(key, value);
      }
      if (part.look === look) return;
      part.look = look;
      group.classList.remove(...Object.keys(SHAPES).map((kind) => `kind-${kind}`));
      group.classList.add(`kind-${step.kind}`);
      group.classList.toggle("is-doomed", Boolean(step.doomed));
      group.classList.toggle("is-draft", Boolean(step.draft));
      group.setAttribute("aria-label", SearchLayout.spoken(step, index));
      // Shape, label and what lies between them can all be pointed at.
      const hit = { x: -22, y: -20, width: 44, height: 20 + part.below };
      group.replaceChildren(svg("rect", { ...hit, fill: "none", "pointer-events": "all" }),
        svg("path", { class: "shape", d: SHAPES[step.kind] }),
        svg("text", { class: "number", dy: "0.35em" }, index + 1));
      if (labelled) group.append(SearchLayout.labelOf(lines));
      if (step.faults) group.append(
        svg("circle", { class: "fault", cx: 14, cy: -13, r: 6.5 }),
        svg("text", { class: "fault-mark", x: 14, y: -13, dy: "0.35em" }, "!"));
      group.append(svg("title", {}, SearchLayout.spoken(step, index)));
    }

    #removeFrom(count) {
      for (const [id, part] of this.#parts) {
        if (id === "question" || Number(id) < count) continue;
        part.group.remove();
        part.edge.remove();
        this.#parts.delete(id);
      }
      if (this.#active >= count) this.#active = null;
    }

    /* -------------------------------------------------------------- pixels */

    #target() {
      const { left, top, width, height, labels } = this.#layout, room = this.#room?.();
      const fit = room ? Math.min(room.width / width, room.height / height) : 500 / width;
      const [least, most] = room ? [labels ? LABELS_NEED : SMALLEST, LARGEST] : [1, 1.35];
      return { left, top, width, height, scale: Math.min(most, Math.max(least, fit)) };
    }

    #glide() {
      cancelAnimationFrame(this.#frame);
      const from = this.#box ?? this.#target(), to = this.#target();
      if (!this.#animated()) return this.#place(from, to, 1);
      const begun = performance.now();
      const tick = (now) => {
        const t = Math.min(1, Math.max(0, now - begun) / GLIDE_MS);
        this.#place(from, to, 1 - (1 - t) ** 3);
        if (t < 1) this.#frame = requestAnimationFrame(tick);
      };
      this.#place(from, to, 0);
      this.#frame = requestAnimationFrame(tick);
    }

    #place(from, to, t) {
      const box = this.#box = {};
      for (const key of Object.keys(to)) box[key] = mixed(from[key], to[key], t);
      this.picture.setAttribute("viewBox", `${box.left} ${box.top} ${box.width} ${box.height}`);
      this.picture.setAttribute("width", box.width * box.scale);
      this.picture.setAttribute("height", box.height * box.scale);
      if (!this.#room) this.picture.style.minWidth = `${Math.round(box.width * 0.8)}px`;
      for (const part of this.#parts.values()) {
        part.at = { x: mixed(part.from.x, part.to.x, t), y: mixed(part.from.y, part.to.y, t) };
        part.group.setAttribute("transform", `translate(${part.at.x} ${part.at.y})`);
        const distance = Math.hypot(part.at.x - part.to.x, part.at.y - part.to.y);
        if (distance < ARRIVED_PX) part.group.classList.remove("is-arriving");
      }
      for (const part of this.#parts.values()) {
        const parent = this.#parts.get(part.to.parent);
        part.edge?.setAttribute("d", SearchLayout.curve(parent.at, part.at, parent.below));
      }
      this.#drawBow();
      if (t === 1) this.#reveal();
    }

    #drawBow() {
      const step = this.#steps[this.#active];
      const back = step?.back === undefined ? null : this.#parts.get(String(step.back ?? "question"));
      const node = this.#parts.get(String(this.#active));
      this.bow.setAttribute("d", back && node ? SearchLayout.bow(node.at, back.at) : "");
    }

    /* Scrolls so that the active node is in sight, where the picture is larger than its place. */
    #reveal() {
      const node = this.#parts.get(String(this.#active));
      if (!node || this.#still) return;
      const { left, top, width } = this.#box, scale = this.picture.clientWidth / width || 1;
      const { scroller } = this;
      scroller.scrollLeft = (node.to.x - left) * scale - scroller.clientWidth / 2;
      scroller.scrollTop = (node.to.y - top) * scale - scroller.clientHeight / 2;
    }

    /* -------------------------------------------------------------- pointing */

    #still = false;

    #listen(group, index) {
      group.setAttribute("role", "treeitem");
      group.setAttribute("tabindex", index === 0 ? "0" : "-1");
      group.addEventListener("focus", () => this.#point(index, false));
      // Not "mouseenter": that comes too when the tree moves under a pointer that rests. And what is
      // under the pointer must not move away from it.
      group.addEventListener("mousemove", () => {
        if (this.#active !== index) this.#point(index, true);
      });
      group.addEventListener("click", () => group.focus({ preventScroll: true }));
      group.addEventListener("keydown", (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        const target = this.#neighbour(index, event.key);
        if (target === null) return;
        event.preventDefault();
        this.#parts.get(String(target)).group.focus();
      });
    }

    #point(index, still) {
      this.#still = still;
      this.activate(index);
      this.#still = false;
      this.#onActivate(index);
    }

    /* Down and up follow the search in time; left and right go to the parent and the first child. */
    #neighbour(index, key) {
      const last = this.#steps.length - 1, { parent } = this.#steps[index];
      if (key === "ArrowDown") return Math.min(last, index + 1);
      if (key === "ArrowUp") return Math.max(0, index - 1);
      if (key === "Home") return 0;
      if (key === "End") return last;
      if (key === "ArrowLeft") return parent ?? index;
      if (key !== "ArrowRight") return null;
      const child = this.#steps.findIndex((step) => step.parent === index);
      return child < 0 ? index : child;
    }

    /* Marks one step and the way to it. */
    activate(index) {
      this.#active = index;
      const way = new Set();
      for (let at = index; at !== null; at = this.#steps[at].parent) way.add(String(at));
      for (const [id, { group, edge }] of this.#parts) {
        if (id === "question") continue;
        const active = id === String(index);
        group.classList.toggle("is-active", active);
        group.setAttribute("tabindex", active ? "0" : "-1");
        group.setAttribute("aria-selected", active);
        edge.classList.toggle("on-path", way.has(id));
      }
      this.#drawBow();
      this.#reveal();
    }

    /* Fades the steps from `count` on, as they were not yet there. */
    fadeFrom(count) {
      for (const [id, { group, edge }] of this.#parts) {
        if (id === "question") continue;
        group.classList.toggle("is-later", Number(id) >= count);
        edge.classList.toggle("is-later", Number(id) >= count);
      }
    }
  }

  return { Tree };
})();
