/* One turn of the dialogue: the question, the search, and the answer.

   chunks of a chat completion -> an article on the page */

import { counted, isCalm, make } from "./elements.js";
import { SearchView } from "./search-view.js";
import { Search, tally } from "./search.js";

const NEWS_EVERY_MS = 10_000; // screen readers announce progress, but not every step
const LONG_QUESTION = 110;

export class Turn {
  #searches; #views; #tabs = []; #votes = [];
  #chosen = 0;
  #pickedByHand = false;
  #usage = null;
  #frame = 0;
  #begun = performance.now();
  #announcedAt = 0;
  #announce;

  constructor(number, question, samples, announce) {
    this.question = question;
    this.#announce = announce;
    this.#searches = Array.from({ length: samples }, () => new Search());
    this.#views = this.#searches.map((_, i) =>
      new SearchView(samples > 1 ? `sample ${i + 1}` : `turn ${number}`));
    this.facts = make("p", { className: "facts" });
    this.answerBox = make("section", { className: "answer", hidden: true, aria: { label: "Answer" } });
    const long = question.length > LONG_QUESTION ? " is-long" : "";
    const title = make("h3", { id: `turn-${number}`, className: `asked${long}` }, question);
    this.element = make("article", { className: "turn is-thinking", aria: { labelledby: title.id } },
      make("header", {}, title, this.facts));
    if (samples > 1) this.element.append(this.#tablist(number));
    this.element.append(...this.#views.map((view) => view.element), this.answerBox);
    this.#choose(0);
    this.#render();
    announce("Thinking.");
  }

  /* The answer, by majority where there are several; empty where there is none. */
  get answer() {
    return this.#searches.length > 1 ? this.#votes[0]?.answer ?? "" : this.#searches[0].answer;
  }

  /* Whether the turn can stand in the dialogue that the model is given next time. */
  get counts() { return this.#searches.some(({ whole }) => whole) && this.answer !== ""; }

  add({ choices, usage }) {
    this.#usage = usage ?? this.#usage;
    for (const { index, delta, finish_reason: reason, ...more } of choices) {
      this.#searches[index].add(delta);
      if (!reason) continue;
      this.#searches[index].end(reason === "stop", more.stop_reason, more.reasoning_marks);
    }
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  /* The stream is complete. */
  finish() {
    this.#votes = this.#searches.length > 1 ? tally(this.#searches) : [];
    if (this.#votes.length && !this.#pickedByHand) this.#choose(this.#votes[0].sample);
    this.#close(`${this.answer ? `Answer: ${this.answer}.` : this.#shortfall()} ${this.#progress()}.`);
    if (this.answer) this.#showAnswer();
    if (!this.counts) this.#showNote(this.#shortfall());
    this.#bringIntoView();
  }

  /* The answer may lie under the question box; but whoever reads an earlier turn is left there. */
  #bringIntoView() {
    const { top, bottom } = this.element.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight / 2) return;
    this.answerBox.scrollIntoView({ behavior: isCalm() ? "auto" : "smooth", block: "nearest" });
  }

  /* The person stopped it. */
  stop() {
    this.#close(`Stopped. ${this.#progress()}.`);
    this.#showNote("You stopped this search. It stays to look at, but it is no part of the dialogue.");
  }

  fail(message, again) {
    this.#close(message);
    const button = make("button", { type: "button", className: "quiet", onclick: again }, "Ask again");
    this.#showNote(message, button);
    this.element.classList.add("has-failed");
  }

  #close(news) {
    for (const search of this.#searches) if (!search.ended) search.end(false);
    this.element.classList.remove("is-thinking");
    this.element.classList.toggle("is-empty", this.#searches.every((one) => !one.steps().length));
    this.#render();
    this.#announce(news);
  }

  /* -------------------------------------------------------------- drawing */

  #render() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#views[this.#chosen].show(this.#searches[this.#chosen]);
    this.#tabs.forEach((tab, index) => this.#showTab(tab, this.#searches[index]));
    const thinking = this.element.classList.contains("is-thinking");
    this.facts.textContent = `${thinking ? "Thinking · " : ""}${this.#progress()}${this.#cost()}`;
    if (thinking && this.#numSteps() && performance.now() - this.#announcedAt > NEWS_EVERY_MS) {
      this.#announcedAt = performance.now();
      this.#announce(`${this.#progress()} so far.`);
    }
  }

  #numSteps() { return this.#searches.reduce((sum, { numSteps }) => sum + numSteps, 0); }

  #progress() {
    const samples = this.#searches.length;
    const back = this.#searches.reduce((sum, { numTurns }) => sum + numTurns, 0);
    const parts = [counted(this.#numSteps(), "step"), counted(back, "dead end")];
    if (samples > 1) parts.push(counted(samples, "sample"));
    return parts.join(", ");
  }

  #cost() {
    if (!this.#usage) return "";
    const seconds = ((performance.now() - this.#begun) / 1000).toFixed(1);
    return ` · ${counted(this.#usage.completion_tokens, "token")} · ${seconds} s`;
  }

  #shortfall() {
    const reasons = this.#searches.map(({ stopReason }) => stopReason);
    if (reasons.includes("time_limit")) return "The server’s time limit ended this.";
    if (reasons.includes("repetition")) return "The search repeated itself and was stopped.";
    return this.#searches.some(({ whole }) => whole)
      ? "The search ended without an answer."
      : `The model’s context is full: ${this.answer ? "its answer is cut short" : "it came to no answer"}.`;
  }

  #showAnswer() {
    const { answerBox } = this;
    const title = this.#votes.length ? "Answer of the majority" : "Answer";
    answerBox.replaceChildren(make("h4", {}, title), make("p", { className: "answer-text" }, this.answer));
    if (this.#votes.length) answerBox.append(this.#ballot());
    answerBox.hidden = false;
  }

  #showNote(message, ...more) {
    const sign = make("span", { className: "sign", aria: { hidden: "true" } }, "!");
    this.answerBox.append(make("p", { className: "trouble" }, sign, make("span", {}, message), ...more));
    this.answerBox.hidden = false;
  }

  #ballot() {
    const samples = this.#searches.length;
    const rows = this.#votes.map(({ answer, count }) => {
      const bar = make("span", { className: "bar", aria: { hidden: "true" } });
      bar.style.setProperty("--share", `${100 * count / samples}%`);
      return make("li", {}, make("span", { className: "count" }, `${count} of ${samples}`), bar,
        make("span", { className: "vote" }, answer));
    });
    return make("ol", { className: "ballot", aria: { label: "Votes" } }, ...rows);
  }

  /* -------------------------------------------------------------- samples */

  #tablist(number) {
    const list = make("div", { className: "tabs", role: "tablist", aria: { label: "Samples" } });
    this.#tabs = this.#searches.map((_, index) => {
      const panel = this.#views[index].element;
      panel.id = `turn-${number}-sample-${index + 1}`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-label", `Sample ${index + 1}`);
      const tab = make("button", { type: "button", role: "tab", aria: { controls: panel.id } });
      tab.addEventListener("click", () => this.#pick(index));
      tab.addEventListener("keydown", (event) => this.#walk(event, index));
      return tab;
    });
    list.append(...this.#tabs);
    return list;
  }

  #showTab(tab, search) {
    const index = this.#searches.indexOf(search), kind = search.steps().at(-1)?.kind ?? "proceed";
    const state = search.ended ? kind : "thinking";
    if (tab.dataset.state === state && tab.dataset.steps === String(search.numSteps)) return;
    Object.assign(tab.dataset, { state, steps: search.numSteps });
    tab.replaceChildren(SearchLayout.glyph(kind), `${index + 1}`);
    tab.setAttribute("aria-label",
      `Sample ${index + 1}, ${counted(search.numSteps, "step")}, ${search.ended ? "ended" : "thinking"}`);
  }

  #pick(index) {
    this.#pickedByHand = true;
    this.#choose(index);
    this.#render();
  }

  #choose(index) {
    this.#chosen = index;
    this.#views.forEach((view, i) => { view.element.hidden = i !== index; });
    this.#tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", i === index);
      tab.tabIndex = i === index ? 0 : -1;
    });
  }

  #walk(event, index) {
    const last = this.#tabs.length - 1;
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const at = Math.min(last, Math.max(0, to));
    this.#pick(at);
    this.#tabs[at].focus();
  }
}
