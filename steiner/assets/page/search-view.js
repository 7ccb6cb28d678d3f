/* One search on the page: its tree, and beside it a card for each step.

   Search -> elements, kept up to date as it grows */

import { make, isCalm } from "./elements.js";
import { COMPONENTS } from "./search.js";

const DECIDED = {
  proceed: "Proceed", backtrack: "Proceed, left later", dead: "Backtrack",
  goal: "End, answer verified", unverified: "End, answer not checked",
  rejected: "End, answer wrong", end: "End, short of a goal",
};
const BECAME = { backtrack: "proceeds, left later" };
const LEGEND = [
  ["proceed", "proceeds"], ["backtrack", "backtracked: left later"], ["dead", "dead end"],
  ["goal", "goal: answer verified"], ["unverified", "answer not checked"],
  ["rejected", "answer wrong"], ["end", "stopped"],
];

function decided({ kind, decision, draft }) {
  if (draft) return "writing";
  return decision === null ? "Stopped" : DECIDED[kind];
}

/* Which step a step continues, unless that is the step before it. */
function origin({ parent, texts }, index) {
  if (index === 0 || parent === index - 1) return "";
  const fromQuestion = parent === null || texts.depth === 1;
  return fromQuestion ? "again from the question" : `again from step ${parent + 1}`;
}

export class SearchView {
  #steps = [];
  #cards = [];
  #active = null;
  #pointed = false;

  constructor(name) {
    this.list = make("ol", { className: "steps", aria: { label: `Steps of ${name}` } });
    this.scroller = make("div", { className: "tree-scroller" });
    this.caption = make("p", { className: "pointed", aria: { hidden: "true" } });
    const figure = make("figure", { aria: { label: `Tree of ${name}` } },
      this.scroller, this.caption, legend());
    this.element = make("div", { className: "search" }, figure, this.list);
    this.tree = new SearchTree.Tree(this.scroller, {
      room: () => this.#room(),
      animated: () => !isCalm() && !document.hidden,
      onActivate: (index) => {
        this.#pointed = this.element.matches(":hover");
        this.#highlight(index);
      },
    });
    new ResizeObserver(() => this.#draw()).observe(this.scroller);
    this.element.addEventListener("mouseleave", () => { this.#pointed = false; });
    this.list.addEventListener("keydown", (event) => this.#walk(event));
  }

  /* The place of the tree in pixels; never nothing, which it has while it is hidden. */
  #room() {
    const style = getComputedStyle(this.scroller);
    const inner = (size, ...sides) =>
      Math.max(1, sides.reduce((px, side) => px - (parseFloat(style[side]) || 0), size));
    return {
      width: inner(this.scroller.clientWidth, "paddingLeft", "paddingRight"),
      height: inner(this.scroller.clientHeight, "paddingTop", "paddingBottom"),
    };
  }

  /* Shows what the search has come to; follows its newest step unless somebody looks at one. */
  show(search) {
    this.#steps = search.steps();
    this.#steps.forEach((step, index) => this.#card(index).show(step));
    this.#draw();
    if (!this.#steps.length) return;
    const follows = this.#active === null || !this.#isWatched();
    if (follows) this.tree.activate(this.#steps.length - 1);
    this.#highlight(follows ? this.#steps.length - 1 : this.#active, follows);
  }

  /* A pointer that only rests there does not watch. */
  #isWatched() {
    return this.#pointed || this.element.querySelector(".node:focus, .step:focus") !== null;
  }

  #draw() {
    this.tree.update(this.#steps.map(({ texts, ...step }) => ({
      ...step, label: texts.next_step ?? "", became: BECAME[step.kind],
    })));
  }

  #card(index) {
    if (this.#cards[index]) return this.#cards[index];
    const card = this.#cards[index] = new Card(index);
    this.list.append(card.element);
    const point = (scroll) => {
      this.tree.activate(index);
      this.#highlight(index, scroll);
    };
    // Not "mouseenter": that comes too when the list scrolls under a pointer that rests.
    card.element.addEventListener("mousemove", () => {
      this.#pointed = true;
      if (this.#active !== index) point(false);
    });
    card.element.addEventListener("focus", () => point(true));
    return card;
  }

  #highlight(index, scroll = true) {
    this.#active = index;
    this.#cards.forEach(({ element }, i) => {
      element.classList.toggle("is-active", i === index);
      element.tabIndex = i === index ? 0 : -1;
    });
    const step = this.#steps[index];
    this.caption.replaceChildren(make("b", {}, `${index + 1} · ${decided(step)}`),
      ` ${SearchLayout.shortened(step.texts.next_step ?? "")}`);
    if (scroll) this.#bringIntoView(this.#cards[index].element);
  }

  /* Scrolls the list alone: the page must not move while somebody reads it. */
  #bringIntoView({ offsetTop, offsetHeight }) {
    const { list } = this, above = list.scrollTop, below = above + list.clientHeight;
    const behavior = isCalm() ? "auto" : "smooth";
    if (offsetTop < above) list.scrollTo({ top: offsetTop - 12, behavior });
    const end = offsetTop + offsetHeight + 12;
    if (end > below) list.scrollTo({ top: end - list.clientHeight, behavior });
  }

  #walk(event) {
    const index = this.#cards.findIndex(({ element }) => element === event.target);
    const last = this.#cards.length - 1;
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: last }[event.key];
    if (index < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#cards[Math.min(last, Math.max(0, to))].element.focus({ preventScroll: true });
  }
}

class Card {
  constructor(index) {
    this.index = index;
    this.glyph = make("span", { className: "sign" });
    this.origin = make("span", { className: "origin" });
    this.decided = make("span", { className: "decided" });
    this.texts = {};
    this.labels = {};
    const rows = COMPONENTS.map(([name, label]) => {
      const text = this.texts[name] = make("dd", { data: { component: name } });
      this.labels[name] = make("dt", {}, label);
      return make("div", {}, this.labels[name], text);
    });
    this.element = make("li", { className: "step" },
      make("p", { className: "head" }, this.glyph,
        make("span", { className: "number" }, make("span", { className: "unseen" }, "Step "), `${index + 1}`),
        this.origin, this.decided),
      make("dl", {}, ...rows));
  }

  show(step) {
    const { kind, draft, texts } = step, now = JSON.stringify(step);
    if (now === this.shown) return;
    this.shown = now;
    const active = this.element.classList.contains("is-active") ? " is-active" : "";
    this.element.className = `step kind-${kind}${draft ? " is-draft" : ""}${active}`;
    this.glyph.replaceChildren(SearchLayout.glyph(kind));
    this.origin.textContent = origin(step, this.index);
    this.decided.textContent = decided(step);
    if (texts.reads) this.labels.understanding.textContent = "How I read your question";
    const present = COMPONENTS.filter(([name]) => texts[name]);
    for (const [name] of COMPONENTS) {
      const text = this.texts[name];
      if (text.textContent !== (texts[name] ?? "")) text.textContent = texts[name] ?? "";
      text.parentElement.hidden = !texts[name];
      text.classList.toggle("is-written", draft && name === present.at(-1)?.[0]);
    }
  }
}

function legend() {
  const entries = LEGEND.map(([kind, words]) => make("li", {}, SearchLayout.glyph(kind), words));
  return make("ul", { className: "legend", aria: { label: "Legend" } }, ...entries);
}
