/* One search while it arrives: the finished steps, the step being written, and the answer.

   deltas of a choice -> steps { number, texts, kind, parent, back, decided, draft } */

export const COMPONENTS = [
  ["next_step", "Next step"],
  ["understanding", "Current understanding"],
  ["summary", "Summary"],
  ["verification", "Verification"],
];

const KINDS = {
  proceed: "proceed", backtracked: "backtrack", dead_end: "dead", goal: "goal",
  unverified: "unverified", rejected: "rejected", stopped: "end",
};

export class Search {
  answer = "";
  ended = false;
  whole = false;
  stopReason = null;
  #done = [];
  #reasoning = "";

  get numSteps() { return this.#done.length; }
  get numTurns() { return this.#done.filter((step) => step.decision === "backtrack").length; }

  add({ reasoning = "", reasoning_steps: steps = [], content = "" }) {
    this.#reasoning += reasoning;
    this.#done.push(...steps);
    if (steps.length) this.#forget();
    this.answer += content;
  }

  /* `whole` says that the model closed its turn and no limit did; `finalMarks` replace the marks
     of the stream, which are provisional until the answer is graded. */
  end(whole, stopReason = null, finalMarks = []) {
    this.ended = true;
    finalMarks.forEach((mark, index) => {
      if (this.#done[index]) this.#done[index] = { ...this.#done[index], mark };
    });
    this.whole = whole;
    this.stopReason = stopReason;
  }

  /* All steps, the last one perhaps a draft. */
  steps() {
    const steps = this.#done.map((step, index) => this.#stepView(step, index));
    const draft = this.#draft();
    if (draft) steps.push(draft);
    return marked(steps);
  }

  #stepView(step, index) {
    const last = index === this.#done.length - 1;
    const cut = this.ended && !this.whole && last && step.mark === "unverified";
    const kind = cut ? "end" : KINDS[step.mark] ?? "proceed";
    return { texts: step, kind, parent: step.parent, decision: step.decision, draft: false };
  }

  /* The reasoning of steps that are whole is not needed any more. */
  #forget() {
    const heading = `\n\nStep ${this.#done.length + 1}`;
    const start = this.#reasoning.lastIndexOf(heading);
    this.#reasoning = start < 0 ? "" : this.#reasoning.slice(start);
  }

  /* The step being written, read from the reasoning as text: objects come only for whole steps.
     Text that looks like a heading can mislead it, until the object replaces it. */
  #draft() {
    const marks = [];
    let from = 0;
    for (const [name, label] of COMPONENTS) {
      const start = this.#reasoning.indexOf(`\n${label}: `, from);
      if (start < 0) continue;
      from = start + label.length + 3;
      marks.push({ name, start, from });
    }
    if (!marks.length) return null;
    const texts = {};
    marks.forEach((mark, i) => {
      texts[mark.name] = this.#reasoning.slice(mark.from, marks[i + 1]?.start);
    });
    const parent = this.#guessedParent(texts);
    const kind = this.ended ? "end" : "proceed";
    return { texts, kind, parent, decision: null, draft: !this.ended };
  }

  /* Where the draft will hang, by the server's own rule (steiner/inference/search_tree.py): at the depth
     that its words name, else one deeper or, after a backtrack, at the same depth again. */
  #guessedParent({ next_step: text = "" }) {
    const branch = wayTo(this.#done, this.#done.length - 1);
    const deepest = branch.length + 1;
    const back = this.#done.at(-1)?.decision === "backtrack" ? 1 : 0;
    const told = Number(/^\S+ (\d+)[^:]*:/.exec(text)?.[1]);
    const depth = told >= 1 && told <= deepest ? told : Math.max(1, deepest - back);
    return branch[depth - 2] ?? null;
  }
}

/* Indices of the steps from the question to one of them. */
function wayTo(steps, index) {
  const way = [];
  for (let at = index; at !== null && at >= 0; at = steps[at].parent) way.unshift(at);
  return way;
}

/* What later steps say of earlier ones: which the search has left, and where it went on instead. */
function marked(steps) {
  const kept = new Set(wayTo(steps, steps.length - 1));
  return steps.map((step, index) => {
    const left = step.kind === "proceed" && !kept.has(index);
    const next = steps[index + 1];
    const back = step.decision === "backtrack" && next ? next.parent : undefined;
    return { ...step, kind: left ? "backtrack" : step.kind, back };
  });
}

/* The answers of several searches, most votes first, by the server's rule (inference/voting.py) but
   for ties: it knows which answer is likelier, the page takes the earlier one. */
export function tally(searches) {
  const votes = new Map();
  searches.forEach(({ answer, whole }, sample) => {
    if (!whole || !answer) return;
    const same = answer.trim().replace(/\s+/g, " ").toLowerCase().replace(/\.$/, "");
    const vote = votes.get(same) ?? { answer, count: 0, sample };
    vote.count += 1;
    votes.set(same, vote);
  });
  return [...votes.values()].sort((a, b) => b.count - a.count);
}
