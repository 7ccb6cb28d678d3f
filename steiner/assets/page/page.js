/* The page: a question box, and above it the turns of the dialogue.

   question, wishes -> Turn, fed from the API */

import { ask, firstModel } from "./api.js";
import { isCalm } from "./elements.js";
import { Turn } from "./turn.js";

const element = (id) => document.getElementById(id);
const [composer, question, turnList, news] = ["composer", "question", "turns", "news"].map(element);
const [askButton, stopButton, keyBox] = ["ask", "stop", "key"].map(element);

let turns = [];
let numAsked = 0;
let thinking = null; // what stops the search that runs

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (thinking || !question.value.trim()) return;
  answer(question.value.trim());
  question.value = "";
});

question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") thinking?.abort();
});
stopButton.addEventListener("click", () => thinking?.abort());

element("afresh").addEventListener("click", () => {
  thinking?.abort();
  turns = [];
  turnList.replaceChildren();
  document.body.classList.add("is-new");
  announce("New dialogue.");
  question.focus();
});

for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => {
    question.value = button.querySelector("span").textContent;
    question.focus();
  });
}

for (const slider of document.querySelectorAll("input[type=range]")) {
  const output = slider.parentElement.querySelector("output");
  const show = () => { output.textContent = slider.value; };
  slider.addEventListener("input", show);
  show();
}

async function answer(text) {
  const samples = Number(element("samples").value), maxSteps = Number(element("budget").value);
  const messages = [...dialogue(), { role: "user", content: text }];
  const turn = new Turn(++numAsked, text, samples, announce), stopper = new AbortController();
  turns.push(turn);
  begin(turn, stopper);
  try {
    const chunks = ask({ messages, maxSteps, samples, key: keyBox.value }, stopper.signal);
    for await (const chunk of chunks) turn.add(chunk);
    turn.finish();
  } catch (error) {
    if (error.name === "AbortError") turn.stop();
    else explain(turn, error);
  }
  if (thinking === stopper) end();
}

/* What the model has been asked and has answered so far. */
function dialogue() {
  return turns.filter((turn) => turn.counts).flatMap((turn) => [
    { role: "user", content: turn.question }, { role: "assistant", content: turn.answer },
  ]);
}

function begin(turn, stopper) {
  document.body.classList.remove("is-new");
  turnList.append(turn.element);
  thinking = stopper;
  swapButtons();
  turn.element.scrollIntoView({ behavior: isCalm() ? "auto" : "smooth", block: "start" });
}

function end() {
  thinking = null;
  swapButtons();
}

/* Ask and Stop stand in the same place; the focus must not be lost with the one that goes. */
function swapButtons() {
  const [gone, there] = thinking ? [askButton, stopButton] : [stopButton, question];
  const focused = document.activeElement === gone;
  askButton.hidden = Boolean(thinking);
  stopButton.hidden = !thinking;
  if (focused) there.focus({ preventScroll: true });
}

function explain(turn, error) {
  if (error.wantsKey) {
    element("key-wish").hidden = false;
    keyBox.focus();
  }
  turn.fail(error.message, () => { if (!thinking) answer(turn.question); });
}

function announce(text) { news.textContent = text; }

/* Nice to know, and no harm where it cannot be had: asking tells what is wrong. */
firstModel("").then(({ id, max_model_len: length }) => {
  element("model").textContent = `model ${id}, ${length.toLocaleString("en")} tokens of context`;
}).catch(() => {});
