/* The report's searches: step cards in the page become trees that can be played step by step.

   <div data-search>  <figure data-tree></figure>  <ol data-steps><li data-kind data-parent ...></ol>

   The cards are the data: without this script they can still be read in order. Each <li> carries
   data-kind (proceed, backtrack, dead, goal, end), data-parent (index of the card it goes on from,
   empty for the question), data-status, data-label, data-faults and data-back (where a backtrack
   returns to). Needs search-tree.js. */
"use strict";

const SearchPlayer = (() => {
  const PLAY_MS = 750, WIDE_PX = 720;
  const indexed = (text) => text === "" ? null : Number(text);

  function readStep({ dataset }) {
    const { kind, status, parent, back, faults, label } = dataset;
    return {
      kind, label, faults, parent: indexed(parent),
      back: back === undefined ? undefined : indexed(back),
      doomed: status === "dead" && kind === "proceed",
    };
  }

  function draw(element) {
    const list = element.querySelector("[data-steps]"), cards = [...list.children];
    const steps = cards.map(readStep);
    const scroller = document.createElement("div");
    scroller.className = "tree-scroller";
    const highlight = (index, scroll = true) => {
      cards.forEach((card, i) => card.classList.toggle("is-active", i === index));
      if (scroll) showCard(list, cards[index]);
    };
    const tree = new SearchTree.Tree(scroller, { onActivate: highlight });
    tree.update(steps);
    element.classList.toggle("is-wide", tree.width > WIDE_PX);
    cards.forEach((card, index) => card.addEventListener("mouseenter", () => {
      tree.activate(index);
      highlight(index, false);
    }));
    const reveal = (count) => {
      tree.fadeFrom(count);
      cards.forEach((card, index) => card.classList.toggle("is-later", index >= count));
      tree.activate(count - 1);
      highlight(count - 1);
    };
    element.querySelector("[data-tree]").replaceChildren(scroller, controls(steps, reveal));
  }

  function showCard(list, { offsetTop, offsetHeight }) {
    if (list.scrollHeight <= list.clientHeight) return;
    list.scrollTop = offsetTop - (list.clientHeight - offsetHeight) / 2;
  }

  function controls(steps, reveal) {
    const box = document.createElement("figcaption");
    box.className = "controls";
    const button = document.createElement("button");
    button.type = "button";
    const slider = document.createElement("input");
    const last = steps.length;
    Object.assign(slider, { type: "range", min: 1, max: last, value: last });
    slider.setAttribute("aria-label", "Steps shown");
    const count = document.createElement("output");
    let timer = null;
    const show = (value) => {
      slider.value = value;
      count.textContent = `step ${value} of ${last}`;
      slider.setAttribute("aria-valuetext", SearchLayout.spoken(steps[value - 1], value - 1));
    };
    const goTo = (value) => {
      show(value);
      reveal(value);
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    const forward = () => {
      goTo(Number(slider.value) + 1);
      if (Number(slider.value) >= last) stop();
    };
    button.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) >= last) goTo(1);
      if (last > 1) {
        timer = setInterval(forward, PLAY_MS);
        button.textContent = "Pause";
      }
    });
    slider.addEventListener("input", () => {
      stop();
      goTo(Number(slider.value));
    });
    stop();
    show(last);
    box.append(button, slider, count);
    return box;
  }

  /* Puts the shape of its kind into every <svg data-glyph="kind">. */
  function drawGlyphs() {
    for (const glyph of document.querySelectorAll("[data-glyph]")) {
      glyph.replaceChildren(...SearchLayout.glyph(glyph.dataset.glyph).children);
    }
  }

  function drawAll() {
    drawGlyphs();
    document.querySelectorAll("[data-search]").forEach(draw);
  }

  return { drawAll };
})();
