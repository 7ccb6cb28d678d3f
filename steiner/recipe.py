"""Recipes: every setting that affects the result of a run, as frozen typed records.

TOML file + "key=value" overrides -> Recipe

Each default stands once, here; a recipe file sets what differs from it. Reading and writing them
is in recipe_file.py. Fields made by `operational` change how a result is reached, not the result,
so that they count for no digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

EMBEDDED_BASE = Path(__file__).parent / "assets" / "base"
"""The model folder that base.model = "embedded" means; made by `make base`."""

SHIPPED_REASONER = Path(__file__).parent / "assets" / "reasoner"
"""The trained model in the package (recipe `reasoner`); it answers where no other is named."""

Precision = Literal["auto", "bf16", "fp32"]
"""auto: the one in which this machine computes matrix products faster, by timing."""

Attention = Literal["auto", "sdpa", "eager"]
"""sdpa: PyTorch's fused attention. eager: plain products and a softmax. auto: the faster one, by
timing a layer of the model (training/attention.py)."""

RolloutsBy = Literal["engine", "vllm"]
"""engine: the embedded engine, on the trainer's own weights. vllm: a server that gets them."""

LossType = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo"]
"""TRL's GRPO losses that work elementwise, so that each token may have its own advantage."""


def operational(default: Any) -> Any:
    """A field that changes speed or logs, never the result."""
    return field(default=default, metadata={"operational": True})


def may_be_zero(default: int) -> Any:
    """A whole number from 0; others are counts, from 1."""
    return field(default=default, metadata={"may_be_zero": True})


def fraction(default: float) -> Any:
    """A field from 0 to 1."""
    return field(default=default, metadata={"at_most": 1})


@dataclass(frozen=True, slots=True)
class ProblemsRecipe:
    """[problems]: the tasks and their difficulty."""

    levels: Mapping[str, int] = field(default_factory=dict)
    """Task -> difficulty level; only tasks named here take part."""
    files: tuple[str, ...] = ()
    """Python files that define a task of yours as TASK."""


RATIONALE = "rationale"
"""The usual column of worked solutions."""


@dataclass(frozen=True, slots=True)
class QuestionsRecipe:
    """[questions]: your own questions with known answers, as one more task."""

    source: str = ""
    """A JSONL, JSON, CSV, TSV or Parquet file, or owner/name of a data set on the Hub."""
    test: str = ""
    """Questions for evaluation alone, in the same form. Without it, 5 % of `source` are held out.
    """
    name: str = "questions"
    """Name of the task, for shares and reports."""
    grader: str = "text"
    """text, number, choice, math, regex, or a Python file that defines grade()."""
    tolerance: float = 0.0
    """Largest absolute difference that the grader `number` accepts."""
    question: str = "question"
    """Column of the question."""
    answer: str = "answer"
    """Column of the answer."""
    answer_after: str = ""
    """If set, the answer is the text after the last such mark, and the text before it is the
    worked solution: "####" in GSM8K."""
    rationale: str = RATIONALE
    """Column of a worked solution. Rows may lack the default one."""
    hub_config: str = ""
    hub_split: str = "train"
    limit: int = may_be_zero(0)
    """Only the first so many training questions, and all that are held out; 0 for all."""
    paths_per_question: int = 4
    """Search paths through the DAG of each question."""


@dataclass(frozen=True, slots=True)
class TeacherRecipe:
    """[teacher]: the model that makes reasoning DAGs for your own questions."""

    url: str = ""
    """Base URL of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1; empty to load `model`
    here."""
    model: str = ""
    """Its name at that URL; without a URL, a folder or a name on the Hugging Face Hub."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the API key."""
    solutions: int = may_be_zero(1)
    """Solutions per question. A worked solution of the data is one of them; the teacher, with the
    answer shown, writes the others."""
    wrong_turns: int = may_be_zero(2)
    """Places per question where a solution is cut and the teacher continues without the answer."""
    continuations: int = 3
    """Continuations without the answer that decide about a step: it is a dead end if all fail."""
    max_wrong_steps: int = 3
    """Steps of a wrong turn that are kept."""
    temperature: float = 0.8
    max_tokens: int = 512
    """Longest reply, in tokens."""
    max_prompt_tokens: int = 1024
    """Longest prompt of a teacher that runs here, in tokens. Longer ones fail and are counted."""
    token_field: str = "max_tokens"
    """Field of a request that holds max_tokens; some APIs want max_completion_tokens."""
    omit: tuple[str, ...] = ()
    """Fields that the API refuses, such as seed and temperature."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of each request, such as reasoning_effort."""
    price_in: float = 0.0
    """Price of a million prompt tokens."""
    price_out: float = 0.0
    """Price of a million completion tokens."""
    max_cost: float = 0.0
    """No request is sent once all replies in the run folder, at these prices, have cost this; 0 for
    no limit."""
    batch_command: str = operational("")
    """A command that answers a file of requests in the form of OpenAI's Batch API, such as
    `vllm run-batch -i {input} -o {output} --model {model}`; empty for none. `model` is then what
    the command loads."""
    ray: str = operational("")
    """Address of a Ray cluster that answers, such as 10.0.0.1:6379; empty for this machine alone.
    """
    max_concurrent: int = operational(32)
    """Requests at once, at most; fewer if the server answers 429 or fails."""
    timeout_s: float = operational(120.0)


@dataclass(frozen=True, slots=True)
class SynthRecipe:
    """[synth]: how many DAGs, and how paths walk through them."""

    dags: int = 10_000
    paths: int = 50_000
    easier: float = fraction(0.0)
    """Share of problems from levels below the recipe's."""
    unanswerable: float = fraction(0.06)
    """Share of questions without an answer: no solution, or a missing given."""
    dialogues: float = fraction(0.15)
    """Share of questions that come after earlier turns."""
    system_prompts: float = fraction(0.05)
    """Share of dialogues that begin with a system prompt."""
    explore: float = fraction(0.4)
    """Chance of a wrong turn at a live node; each path draws its own rate from 0 to twice it."""
    turn_back: float = fraction(0.0)
    """Chance of leaving a dead branch at each of its nodes before it is exhausted. Above 0 the
    walker turns back where no dead end can be seen, which a model cannot learn (docs/log.md)."""
    back_jump: float = fraction(0.0)
    """Chance, where the parent is dead too, of jumping back past it to a live node. Above 0 the
    walker skips what is still open for no reason that can be seen (docs/log.md)."""
    in_order: tuple[str, ...] = ()
    """Families in which, at a node that was left for another try, the move that follows the last in
    the family's order is tried. It keeps a model from repeating itself where it cannot foresee what
    a move leads to; where it can, it would no longer choose (docs/log.md)."""
    readings: float = 0.0
    """Questions that are read and not solved, for each path: practice in reading alone."""
    cut: float = fraction(0.1)
    """Share of paths that end at a random step with the answer."""
    max_steps: int = 32
    max_tokens: int = 1024
    """Longest path, question included, in tokens."""
    workers: int = field(default=0, metadata={"operational": True, "may_be_zero": True})
    """Processes; 0 means one per core."""


@dataclass(frozen=True, slots=True)
class BaseRecipe:
    """[base]: the model to continue from, and the shape and budget of `steiner pretrain`."""

    model: str = "embedded"
    """"embedded", a folder, or a name on the Hugging Face hub."""
    vocab_size: int = 1266
    """Without the 14 reasoning tokens."""
    hidden_size: int = 128
    num_layers: int = 5
    num_heads: int = 4
    num_kv_heads: int = 2
    intermediate_size: int = 384
    max_positions: int = 4096
    tokens: int = 400_000_000
    mixture: Mapping[str, float] = field(default_factory=dict)
    """Kind of ordinary text -> share of the tokens of `steiner pretrain`; by default
    DEFAULT_MIXTURE (data/ordinary_text)."""
    recall_tokens: int = may_be_zero(1_200_000)
    """Tokens of each of two kinds of recall rows, before any text (data/recall_rows.py)."""
    batch_tokens: int = 16_384
    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    warmup_fraction: float = fraction(0.02)
    precision: Precision = "auto"
    attention: Attention = field(default="auto", metadata={"operational": True})
    activation_checkpointing: bool = operational(False)
    report_to: str = operational("tensorboard")
    save_every_steps: int = operational(500)

    @property
    def source(self) -> str:
        """The folder or Hub name of the base model."""
        return str(EMBEDDED_BASE) if self.model == "embedded" else self.model


@dataclass(frozen=True, slots=True)
class SamplingRecipe:
    """[sampling]: default sampling of trained models, written to their generation_config.json."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = fraction(1.0)
    """Nucleus sampling: keep the most likely tokens with this total probability."""
    min_p: float = fraction(0.0)
    """Keep tokens with at least this share of the most likely token's probability."""


@dataclass(frozen=True, slots=True)
class CptRecipe:
    """[cpt]: continual pre-training on paths mixed with ordinary text."""

    tokens: int = 800_000
    """Tokens to train on, without padding."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Task -> relative share of the tokens of search paths; 1 if not named."""
    batch_tokens: int = 4096
    ordinary_fraction: float = fraction(0.3)
    """Share of tokens that are ordinary text."""
    corpora: Mapping[str, float] = field(default_factory=dict)
    """Your own ordinary text: a txt, JSONL or Parquet file, or a data set on the Hub -> its share.
    Without any, the embedded base and bases made by `steiner pretrain` get their own kinds of text,
    and other bases get none."""
    wrong_turn_loss: float = fraction(1.0)
    """Loss weight of the choice of a wrong turn; its verification always has weight 1."""
    muon_lr: float = 0.01
    adam_lr: float = 2e-3
    warmup_fraction: float = fraction(0.05)
    lora_rank: int = may_be_zero(0)
    """Rank of LoRA; 0 trains all weights."""
    lora_4bit: bool = False
    """Keep the frozen weights beside LoRA in 4 bits."""
    precision: Precision = "auto"
    attention: Attention = field(default="auto", metadata={"operational": True})
    activation_checkpointing: bool = operational(False)
    """Compute activations again in the backward pass instead of keeping them: less memory, more
    time."""
    report_to: str = operational("tensorboard")
    save_every_steps: int = operational(100)


@dataclass(frozen=True, slots=True)
class SftRecipe:
    """[sft]: supervised fine-tuning on chats, loss on the reasoning and the answer only."""

    tokens: int = 2_400_000
    """Tokens to train on, without padding."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Task -> relative share of the tokens; 1 if not named."""
    batch_tokens: int = 4096
    choice_loss: float = 2.0
    """Loss weight of the tokens that name a next step: few tokens that decide the search."""
    wrong_turn_loss: float = fraction(0.2)
    """Their weight in a wrong turn; its verification always has weight 1."""
    answer_loss: float = 3.0
    """Loss weight of the answer's tokens."""
    muon_lr: float = 0.01
    adam_lr: float = 2e-3
    warmup_fraction: float = fraction(0.02)
    lora_rank: int = may_be_zero(0)
    """Rank of LoRA; 0 trains all weights."""
    lora_4bit: bool = False
    """Keep the frozen weights beside LoRA in 4 bits."""
    precision: Precision = "auto"
    attention: Attention = field(default="auto", metadata={"operational": True})
    activation_checkpointing: bool = operational(False)
    """Compute activations again in the backward pass instead of keeping them: less memory, more
    time."""
    report_to: str = operational("tensorboard")
    save_every_steps: int = operational(100)


@dataclass(frozen=True, slots=True)
class RlRecipe:
    """[rl]: GRPO with an advantage for each token, from the outcome and from each step."""

    steps: int = 60
    """Optimiser steps."""
    problems_per_step: int = 8
    rollouts_per_problem: int = 8
    updates_per_generation: int = 1
    """Optimiser steps per batch of rollouts; with more than 1, the later ones are off-policy."""
    oversample: float = 1.5
    """Groups sampled per group trained on; those with the most varied outcomes are kept."""
    family_floor: float = 0.05
    """Tasks are drawn with weight p (1 - p) + this, where p is their recent accuracy."""
    lr: float = 3e-4
    """Learning rate of AdamW."""
    muon_lr: float = 0.0
    """Learning rate of Muon for the matrices inside the model; 0 uses AdamW for them."""
    lora_rank: int = may_be_zero(0)
    """Rank of LoRA; 0 trains all weights."""
    lora_4bit: bool = False
    """Keep the frozen weights beside LoRA in 4 bits."""
    warmup_fraction: float = fraction(0.05)
    temperature: float = 1.0
    max_steps: int = 32
    max_tokens: int = 1024
    step_reward_weight: float = fraction(0.5)
    """Weight of the step rewards; 0 trains on the outcome alone."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """Task -> difficulty level; that of [problems.levels] if not named."""
    term_weights: Mapping[str, float] = field(default_factory=dict)
    """Reward term -> weight instead of its default; 0 disables the term."""
    kl_beta: float = 0.0
    """Weight of the KL divergence from the SFT model; with 0, no copy of it is kept in memory."""
    loss_type: LossType = "dr_grpo"
    rollouts: RolloutsBy = "engine"
    """What writes the rollouts: the embedded engine, or the vLLM server at `vllm_url`."""
    vllm_url: str = operational("http://127.0.0.1:8000")
    """Address of `vllm serve` (docs/scaling.md has its command)."""
    vllm_weights: str = operational("")
    """Where the folder for the server's weights is made, under a path that both machines see; by
    default in the run's folder."""
    sync_every: int = 1
    """Optimiser steps after which the server gets the trainer's weights."""
    precision: Precision = "auto"
    attention: Attention = field(default="auto", metadata={"operational": True})
    activation_checkpointing: bool = operational(False)
    rollouts_per_batch: int = operational(16)
    """Rollouts per forward and backward pass; limits memory."""
    report_to: str = operational("tensorboard")
    save_every_steps: int = operational(10)


@dataclass(frozen=True, slots=True)
class EvalRecipe:
    """[eval]: measurements on held-out problems."""

    problems_per_family: int = 200
    levels: tuple[int, ...] = ()
    """Difficulty levels of the main problems, in equal shares; empty for [problems.levels]."""
    budgets: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Step budgets (max_steps)."""
    samples: int = 8
    """Rollouts per problem for majority vote and best-of-n."""
    temperature: float = 0.7
    """Temperature of these samples; single searches use the model's own sampling settings."""
    max_tokens: int = 1024
    batch_size: int = operational(64)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a run."""

    name: str
    seed: int = may_be_zero(0)
    language: str = "en"
    gpus: int = field(default=0, metadata={"operational": True, "may_be_zero": True})
    """GPUs without which training would take years; 0 for a recipe that a CPU can train."""
    problems: ProblemsRecipe = field(default_factory=ProblemsRecipe)
    questions: QuestionsRecipe = field(default_factory=QuestionsRecipe)
    teacher: TeacherRecipe = field(default_factory=TeacherRecipe)
    synth: SynthRecipe = field(default_factory=SynthRecipe)
    base: BaseRecipe = field(default_factory=BaseRecipe)
    sampling: SamplingRecipe = field(default_factory=SamplingRecipe)
    cpt: CptRecipe = field(default_factory=CptRecipe)
    sft: SftRecipe = field(default_factory=SftRecipe)
    rl: RlRecipe = field(default_factory=RlRecipe)
    eval: EvalRecipe = field(default_factory=EvalRecipe)

    def digest(self, *keys: str) -> str:
        """16 hexadecimal digits that change with what the named sections or keys say.

        `keys` are sections ("sft"), keys ("seed") or keys of sections ("base.model"); operational
        fields do not count.
        """
        chosen = {key: _decisive(self._get(key)) for key in keys}
        text = json.dumps(chosen, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _get(self, key: str) -> Any:
        value: Any = self
        for part in key.split("."):
            value = getattr(value, part)
        return value


def _decisive(value: Any) -> Any:
    """`value` as JSON, without operational fields."""
    if is_dataclass(value):
        decisive = (spec for spec in fields(value) if not spec.metadata.get("operational"))
        return {spec.name: _decisive(getattr(value, spec.name)) for spec in decisive}
    return dict(value) if isinstance(value, Mapping) else value
