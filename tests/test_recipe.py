"""Recipes: shipped ones load and round-trip; unknown or ill-typed keys are refused."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.recipe import CptRecipe, Recipe, RlRecipe
from steiner.recipe_file import load_recipe, recipe_toml, shipped_recipes
from steiner.types import UserError


def test_shipped_recipes() -> None:
    assert shipped_recipes() == [
        "further-base",
        "questions",
        "qwen2.5-0.5b",
        "qwen2.5-32b",
        "qwen2.5-7b",
        "reasoner",
        "smoke",
        "smollm2-135m",
        "smollm2-smoke",
        "tiny",
    ]


@pytest.mark.parametrize(
    "name",
    [name for name in shipped_recipes() if name[:4] in ("smol", "qwen") and "smoke" not in name],
)
def test_a_recipe_named_after_a_base_trains_that_base(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.base.model.partition("/")[2].lower().startswith(name)
    # tokenizers that spell out digits need up to 1,500 tokens for a path (docs/log.md)
    assert min(recipe.rl.max_tokens, recipe.eval.max_tokens) >= 2048
    stages = (recipe.cpt, recipe.sft, recipe.rl)
    assert all(stage.activation_checkpointing and not stage.muon_lr for stage in stages)


@pytest.mark.parametrize("name", shipped_recipes())
def test_written_recipe_reads_back_equal(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    written = tmp_path / "other.toml"
    written.write_text(recipe_toml(recipe), encoding="utf-8")
    assert load_recipe(str(written)) == recipe


@given(
    lr=st.floats(0, 1e9),
    steps=st.integers(1, 2**60),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20),
)
def test_any_values_survive_toml(
    lr: float, steps: int, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also as keys of tables, such as the file names in cpt.corpora."""
    corpora = {name or "a b/c.jsonl": 2.0}
    recipe = Recipe(name=name, rl=RlRecipe(lr=lr, steps=steps), cpt=CptRecipe(corpora=corpora))
    written = tmp_path_factory.mktemp("recipe") / "any.toml"
    written.write_text(recipe_toml(recipe), encoding="utf-8")
    assert load_recipe(str(written)) == recipe


def _file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_recipe_starts_from_the_one_that_it_is_like(tmp_path: Path) -> None:
    text = 'like = "tiny"\n[problems.levels]\njugs = 1\n[rl]\nsteps = 7\n'
    recipe, tiny = load_recipe(_file(tmp_path, "mine.toml", text)), load_recipe("tiny")
    wanted = replace(
        tiny,
        name="mine",
        problems=replace(tiny.problems, levels={"jugs": 1}),  # a table is replaced as a whole
        rl=replace(tiny.rl, steps=7),
    )
    assert recipe == wanted
    sections = [spec.name for spec in fields(Recipe) if spec.name not in ("name", "problems", "rl")]
    assert recipe.digest(*sections) == tiny.digest(*sections)


def test_a_recipe_may_be_like_a_file_that_is_like_another(tmp_path: Path) -> None:
    middle = _file(tmp_path, "middle.toml", 'like = "questions"\nname = "m"\n[rl]\nsteps = 7\n')
    recipe = load_recipe(_file(tmp_path, "mine.toml", f'like = "{middle}"\nseed = 3\n'))
    assert (recipe.name, recipe.seed, recipe.rl.steps) == ("mine", 3, 7)
    assert recipe.rl.lr == load_recipe("questions").rl.lr


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ('"questoins"', "unknown recipe 'questoins'"),
        ("3", "'like' in recipe mine.toml must be text, not 3"),
        ('"FOLDER/mine.toml"', "start from each other: mine.toml is like mine.toml"),
        ('"FOLDER/other.toml"', "mine.toml is like other.toml is like mine.toml"),
        ('"FOLDER/bad.toml"', "unknown key 'rl.step' in recipe bad.toml"),
        ('"FOLDER/none.toml"', "cannot read recipe"),
    ],
)
def test_a_recipe_that_is_like_none_is_refused(like: str, message: str, tmp_path: Path) -> None:
    _file(tmp_path, "other.toml", f'like = "{tmp_path}/mine.toml"\n')
    _file(tmp_path, "bad.toml", "[rl]\nstep = 1\n")
    mine = _file(tmp_path, "mine.toml", f"like = {like.replace('FOLDER', str(tmp_path))}\n")
    with pytest.raises(UserError, match=message):
        load_recipe(mine)


def test_override_beats_file_and_file_beats_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[rl]\nsteps = 7\nlr = 1\n[problems.levels]\njugs = 1\n")
    recipe = load_recipe(str(path), ["rl.steps=9", "eval.budgets=[1, 2]", "base.model=my/model"])
    assert (recipe.name, recipe.rl.steps, recipe.rl.lr) == ("mine", 9, 1.0)
    assert recipe.eval.budgets == (1, 2)
    assert recipe.base.source == "my/model"
    assert recipe.sft == Recipe(name="mine").sft


def test_override_adds_to_a_table_or_replaces_it() -> None:
    added = load_recipe("smoke", ["problems.levels.jugs=2"])
    assert added.problems.levels == {"countdown": 1, "jugs": 2}
    replaced = load_recipe("smoke", ["problems.levels={jugs = 2}"])
    assert replaced.problems.levels == {"jugs": 2}


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("trian.tokens=3", "unknown key 'trian.tokens'", "did you mean 'sft.tokens'?"),
        ("sft.token=3", "unknown key 'sft.token' in recipe tiny.toml", "'sft.tokens'"),
        ("sed=3", "unknown key 'sed'", "'seed'"),
        ("rl.zzzzzzzzz=3", "unknown key 'rl.zzzzzzzzz'", "keys there: rl.steps, "),
        ("rl.steps=ten", "'rl.steps' in recipe tiny.toml must be a whole number", "rl.steps = 60"),
        ("rl.steps=true", "must be a whole number, not true", ""),
        ("rl.steps=1.5", "must be a whole number, not 1.5", ""),
        ("rl.steps=-1", "must be 1 or more, not -1", "for example: rl.steps = 60"),
        ("rl.lr=nan", "must be a number", "rl.lr = 0.0003"),
        ("rl={}=3", "must be a table", "such as rl.steps"),
        ("synth.explore=1.5", "must be from 0 to 1", ""),
        ("eval.budgets=[1, 'two']", "must be a list, each a whole number", "eval.budgets = [1]"),
        (
            "problems.levels.jugs='hard'",
            "must be a table, each value a whole number",
            "{ NAME = 1 }",
        ),
        ("cpt.precision=fp16", 'must be one of "auto", "bf16", "fp32"', 'precision = "auto"'),
        ("rl.vllm_weights=3", "must be text, not 3", 'rl.vllm_weights = "text"'),
        ("name.x=3", "must be text", 'name = "text"'),
        ("rl.attention=flash", 'must be one of "auto", "sdpa", "eager"', 'attention = "auto"'),
        ("seed.rl=1", "'seed' in recipe tiny.toml must be a whole number", ""),
        ("rl.steps", "cannot read --set 'rl.steps'", "--set rl.steps=10"),
    ],
)
def test_bad_override_is_refused(override: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("tiny", [override])
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", [b"[rl\n", b"\xff\xfe", b"name = 3\n"])
def test_bad_file_is_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    with pytest.raises(UserError, match=r"bad\.toml"):
        load_recipe(str(path))


def test_missing_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown recipe 'tniy'") as caught:
        load_recipe("tniy")
    assert caught.value.hint == "did you mean 'tiny'?"
    with pytest.raises(UserError, match="cannot read recipe") as caught:
        load_recipe(str(tmp_path / "none.toml"))
    assert caught.value.hint == "check the path"


def test_digest_follows_the_named_sections_only() -> None:
    recipe = load_recipe("tiny")
    changed = replace(recipe, sft=replace(recipe.sft, tokens=1))
    assert changed.digest("sft") != recipe.digest("sft")
    assert changed.digest("cpt", "seed") == recipe.digest("cpt", "seed")
    assert recipe.digest("base.model") != load_recipe("qwen2.5-0.5b").digest("base.model")


def test_digest_ignores_operational_fields() -> None:
    recipe = load_recipe("tiny")
    faster = replace(recipe, synth=replace(recipe.synth, workers=7))
    assert faster.digest("synth") == recipe.digest("synth")


def test_sections_of_a_recipe() -> None:
    sections = {spec.name for spec in fields(Recipe)} - {"name", "seed", "language", "gpus"}
    data = {"problems", "questions", "teacher", "synth"}
    assert sections == data | {"base", "sampling", "cpt", "sft", "rl", "eval"}


@pytest.mark.parametrize(
    "key",
    [
        *("synth.dags", "synth.paths", "synth.max_steps", "synth.max_tokens", "cpt.tokens"),
        *("cpt.batch_tokens", "sft.tokens", "sft.save_every_steps", "rl.steps", "base.num_layers"),
        *("rl.problems_per_step", "rl.rollouts_per_problem", "eval.samples", "eval.batch_size"),
        "eval.problems_per_family",
    ],
)
def test_counts_of_nothing_are_refused(key: str) -> None:
    for value in (0, -1):
        with pytest.raises(
            UserError, match=rf"'{key}' in recipe .* must be 1 or more, not {value}"
        ):
            load_recipe("tiny", [f"{key}={value}"])


def test_what_may_be_zero_may_be_zero() -> None:
    recipe = load_recipe("tiny", ["seed=0", "synth.workers=0", "base.recall_tokens=0"])
    assert (recipe.seed, recipe.synth.workers, recipe.base.recall_tokens) == (0, 0, 0)


def test_extra_fields_of_requests_may_be_any_json(tmp_path: Path) -> None:
    extra = {"presence_penalty": -1, "thinking": {"type": "off"}, "stop": ["a"], "echo": False}
    shown = '{ presence_penalty = -1, thinking = { type = "off" }, stop = ["a"], echo = false }'
    recipe = load_recipe("questions", [f"teacher.extra={shown}"])
    assert recipe.teacher.extra == extra
    written = tmp_path / "other.toml"
    written.write_text(recipe_toml(recipe), encoding="utf-8")
    assert load_recipe(str(written)) == recipe
    with pytest.raises(UserError, match="must be a table, each value a value of JSON"):
        load_recipe("questions", ["teacher.extra={ day = 2026-01-01 }"])
