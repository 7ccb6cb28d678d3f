"""A teacher's DAGs and paths, from a scripted endpoint that solves and misbehaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steiner.dags.store import read_dags, read_paths
from steiner.dags.synthesis import num_tokens, synthesise
from steiner.pipeline import runs
from steiner.questions.task import problem_of
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe
from steiner.tasks import Grade, grade, task
from steiner.teacher import endpoint
from steiner.teacher.preview import preview
from steiner.teacher.synthesis import teacher_blocks, training_questions
from steiner.types import Decision, RunError, SearchPath, Split, Status, UserError
from tests.teacher.scripted_endpoint import Script, scripted_endpoint

NUMBERS = [(3 + n, 40 + 2 * n, 100 + 5 * n, 1000 + n * n) for n in range(24)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between tries."""
    monkeypatch.setattr(endpoint, "FIRST_PAUSE_S", 0.001)


def _recipe(folder: Path, url: str, *overrides: str) -> Recipe:
    file = folder / "sums.jsonl"
    if not file.exists():
        rows = [
            {"question": f"What is {' + '.join(map(str, n))}?", "answer": str(sum(n))}
            for n in NUMBERS
        ]
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return load_recipe(
        "questions",
        [
            f"questions.source={json.dumps(str(file))}",
            "questions.name=sums",
            "questions.grader=number",
            f"teacher.url={url}",
            "teacher.model=scripted",
            *overrides,
        ],
    )


def _synthesise(recipe: Recipe, folder: Path) -> list[SearchPath]:
    synthesise(recipe, folder / "synth", teacher_blocks(recipe, folder))
    return list(read_paths(folder / "synth" / "paths.parquet"))


def _counts(folder: Path) -> dict[str, int]:
    manifest = json.loads((folder / "synth" / "manifest.json").read_text(encoding="utf-8"))
    return dict(manifest["counts"])


def test_paths_have_real_wrong_turns_and_right_answers(tmp_path: Path) -> None:
    with scripted_endpoint(Script()) as url:
        recipe = _recipe(tmp_path, url)
        paths = _synthesise(recipe, tmp_path)
    num_train = len(training_questions(recipe))
    assert len(paths) == num_train * recipe.questions.paths_per_question
    assert all(grade(path.problem, path.answer) is Grade.RIGHT for path in paths)
    assert all(path.problem.split is Split.TRAIN for path in paths)
    back = [p for p in paths if any(s.decision is Decision.BACKTRACK for s in p.steps)]
    assert back
    for path in back:
        ends = [s for s in path.steps if s.decision is Decision.BACKTRACK]
        assert all("too large" in s.texts.verification for s in ends)


def test_a_teachers_units_do_not_matter(tmp_path: Path) -> None:
    with scripted_endpoint(Script(units=" eggs")) as url:
        recipe = _recipe(tmp_path, url)
        paths = _synthesise(recipe, tmp_path)
    assert len(paths) == len(training_questions(recipe)) * recipe.questions.paths_per_question
    assert all(path.answer.isdecimal() for path in paths)


def test_dags_follow_from_the_evidence(tmp_path: Path) -> None:
    with scripted_endpoint(Script()) as url:
        _synthesise(_recipe(tmp_path, url), tmp_path)
    for dag in read_dags(tmp_path / "synth" / "dags.parquet"):
        numbers = [int(n) for n in dag.problem.spec["question"][8:-1].split(" + ")]
        sums = [sum(numbers[:count]) for count in range(2, len(numbers) + 1)]
        live = [node for node in dag.nodes[1:] if node.status is not Status.DEAD]
        assert [node.state[1] for node in live] == list(map(str, sums))
        assert dag.nodes[0].status is Status.LIVE
        assert all(node.state[2] == 0 for node in dag.nodes if node.status is Status.DEAD)
        first_dead = [
            dag.nodes[edge.target]
            for edge in dag.edges
            if dag.nodes[edge.target].status is Status.DEAD
            and dag.nodes[edge.source].status is not Status.DEAD
        ]
        assert first_dead
        # Two wrong turns may begin with the same step: its evidence is that of both.
        assert {node.state[3] for node in first_dead} <= {3, 6}


def test_right_continuations_are_no_wrong_turns(tmp_path: Path) -> None:
    with scripted_endpoint(Script(always_wrong=False)) as url:
        _synthesise(_recipe(tmp_path, url), tmp_path)
    counts = _counts(tmp_path)
    assert counts["dead nodes"] == 0
    assert counts.get("teacher: dead ends", 0) == 0
    assert counts["teacher: steps merged"] > 0


def test_errors_are_tried_again_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    script = Script(error_rate=3, error_status=429)
    with scripted_endpoint(script) as url:
        recipe = _recipe(tmp_path, url)
        first = _synthesise(recipe, tmp_path)
        assert script.statuses[429] > 10
        assert set(script.requests.values()) == {1}
        num_answered = script.requests.total()
        assert _synthesise(recipe, tmp_path) == first
        assert script.requests.total() == num_answered


def test_a_stopped_run_continues_from_its_cache(tmp_path: Path) -> None:
    script = Script()
    with scripted_endpoint(script) as url:
        limited = ("teacher.price_in=10000", "teacher.max_cost=5")
        with pytest.raises(RunError, match="cost limit"):
            _synthesise(_recipe(tmp_path, url, *limited), tmp_path)
        assert not (tmp_path / "synth" / "paths.parquet").exists()
        asked = dict(script.requests)
        assert 5 <= len(asked) < 20
        _synthesise(_recipe(tmp_path, url), tmp_path)
        assert all(script.requests[body] == 1 for body in asked)


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        (Script(key="secret"), UserError, "refuses the key, status 401"),
        (Script(error_rate=1, error_status=404), UserError, "has no model 'scripted'"),
        (Script(error_rate=1, error_status=400), UserError, "status 400: scripted error"),
        (Script(error_rate=1, error_status=500), RunError, "in a row: status 500"),
        (Script(no_json=True), RunError, "no chat completion"),
        (Script(cut=True), RunError, "in a row: RemoteProtocolError"),
        (Script(nonsense=True), UserError, "there is no search path.*replies not in the form"),
    ],
)
def test_a_bad_teacher_is_one_clear_error(
    tmp_path: Path, script: Script, error: type[Exception], says: str
) -> None:
    with scripted_endpoint(script) as url, pytest.raises(error, match=says):
        _synthesise(_recipe(tmp_path, url), tmp_path)
    assert not (tmp_path / "synth" / "manifest.json").exists()


def test_an_unreachable_teacher_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot reach the teacher"):
        _synthesise(_recipe(tmp_path, "http://127.0.0.1:9"), tmp_path)


def test_a_changed_file_makes_the_stage_again_and_asks_only_what_is_new(tmp_path: Path) -> None:
    script = Script()
    with scripted_endpoint(script) as url:
        recipe = _recipe(tmp_path, url)
        runs.run(recipe, tmp_path, only="synth")
        num_before = script.requests.total()
        with (tmp_path / "sums.jsonl").open("a", encoding="utf-8") as file:
            file.write('\n{"question": "What is 7 + 70 + 700 + 7000?", "answer": "7777"}')
        runs.run(recipe, tmp_path, only="synth")
        assert set(script.requests.values()) == {1}
        assert 0 <= script.requests.total() - num_before <= 11


def test_the_preview_asks_a_few_and_the_run_does_not_ask_them_again(tmp_path: Path) -> None:
    script = Script()
    with scripted_endpoint(script) as url:
        recipe = _recipe(tmp_path, url, "teacher.price_in=1", "teacher.price_out=2")
        text = preview(recipe, tmp_path, 3)
        assert text.count("nodes") == 3
        assert "all 23 questions" in text
        assert "cost" in text.splitlines()[-1]
        _synthesise(recipe, tmp_path)
        assert set(script.requests.values()) == {1}


def test_worked_solutions_take_the_place_of_the_teachers(tmp_path: Path) -> None:
    rows = []
    for numbers in NUMBERS:
        first = numbers[0] + numbers[1]
        second = first + numbers[2]
        lines = [f"{numbers[0]} + {numbers[1]} = {first}", f"{first} + {numbers[2]} = {second}"]
        lines.append(f"{second} + {numbers[3]} = {sum(numbers)}")
        question = f"What is {' + '.join(map(str, numbers))}?"
        row = {"question": question, "answer": str(sum(numbers)), "rationale": "\n".join(lines)}
        rows.append(row)
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    script = Script()
    with scripted_endpoint(script) as url:
        _synthesise(_recipe(tmp_path, url), tmp_path)
        assert script.requests
        assert not any("Derive it step by step" in body for body in script.requests)
        recipe = _recipe(tmp_path, url, "teacher.solutions=3")
        _synthesise(recipe, tmp_path)
    solving = [body for body in script.requests if "Derive it step by step" in body]
    assert len(solving) == 2 * len(training_questions(recipe))


def test_a_pattern_is_no_answer_to_learn(tmp_path: Path) -> None:
    """Questions with a regular expression that is not its own text are kept for RL, not for SFT."""
    rows = [
        {
            "question": f"What is {n} plus 1?",
            "answer": str(n + 1) if n % 2 else rf"0*{n + 1}(\.0)?",
            "rationale": f"{n} + 1 = {n + 1}",
        }
        for n in range(100)
    ]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    recipe = load_recipe("questions", [f"questions.source={file}", "questions.grader=regex"])
    runs.run(recipe, tmp_path, only="synth")
    questions = task("questions").generator.questions
    trained = [one for one in questions if problem_of(one, "questions").split is Split.TRAIN]
    patterns = [one for one in trained if "*" in one.answer]
    dags = list(read_dags(tmp_path / "synth" / "dags.parquet"))
    assert len(dags) == len(trained) - len(patterns)
    assert not any("*" in dag.problem.spec["answer"] for dag in dags)
    assert _counts(tmp_path)[
        "questions whose answer is a pattern, which no path can end with"
    ] == len(patterns)


def test_continuations_that_break_off_are_no_evidence(tmp_path: Path) -> None:
    with scripted_endpoint(Script(cut_rate=3)) as url:
        _synthesise(_recipe(tmp_path, url), tmp_path)
    counts = _counts(tmp_path)
    assert counts["teacher: replies cut at teacher.max_tokens"] > 10
    assert "teacher: replies with another answer" not in counts
    assert counts["teacher: wrong turns without evidence"] > 3
    assert counts["teacher: dead ends"] > 0
    for dag in read_dags(tmp_path / "synth" / "dags.parquet"):
        tried = [node.state[3] for node in dag.nodes[1:] if node.status is Status.DEAD]
        assert all(count % 3 == 0 for count in tried)  # all three, or none of its own


def test_a_dead_end_needs_all_continuations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(broken_rate=4)
    with scripted_endpoint(script) as url:
        recipe = _recipe(tmp_path, url)
        runs.run(recipe, tmp_path, only="synth")
        counts = _counts(tmp_path)
        num_failed = counts["teacher: failed requests: status 500"]
        assert num_failed > 10
        assert counts["teacher: wrong turns without evidence"] > 3
        assert (
            f"{num_failed} requests failed; --force asks only these again"
            in capsys.readouterr().err
        )
        for dag in read_dags(tmp_path / "synth" / "dags.parquet"):
            dead = [node for node in dag.nodes if node.status is Status.DEAD]
            assert all(node.state[3] % 3 == 0 for node in dead)
        before = dict(script.requests)
        script.broken_rate = 0
        runs.run(recipe, tmp_path, only="synth", force=True)
        assert all(script.requests[body] == 1 for body in before)
    assert "teacher: failed requests: status 500" not in _counts(tmp_path)


def test_one_refused_question_does_not_stop_a_run(tmp_path: Path) -> None:
    with scripted_endpoint(Script(refused="What is 8 + 50 + 125 + 1025?")) as url:
        recipe = _recipe(tmp_path, url)
        for _ in range(2):
            _synthesise(recipe, tmp_path)
            counts = _counts(tmp_path)
            assert counts["teacher: failed requests: the request is refused, status 400"] == 1
            assert counts["dropped: questions without a solution"] == 1


def test_paths_above_max_tokens_are_dropped_and_counted(tmp_path: Path) -> None:
    with scripted_endpoint(Script()) as url:
        everything = _synthesise(_recipe(tmp_path, url), tmp_path)
        longest = sorted(map(num_tokens, everything))[len(everything) // 2]
        paths = _synthesise(_recipe(tmp_path, url, f"synth.max_tokens={longest}"), tmp_path)
    assert paths == [path for path in everything if num_tokens(path) <= longest]
    dropped = _counts(tmp_path)["dropped: longer than max_tokens"]
    assert dropped == len(everything) - len(paths) > 0


def test_the_manifest_has_the_ledger(tmp_path: Path) -> None:
    with scripted_endpoint(Script()) as url:
        recipe = _recipe(tmp_path, url, "teacher.price_in=1000", "teacher.price_out=2000")
        for _ in range(2):  # with replies of the endpoint, then of the cache
            _synthesise(recipe, tmp_path)
            manifest = json.loads((tmp_path / "synth" / "manifest.json").read_text())
            replies = manifest["counts"]["teacher: replies"]
            assert replies > 100
            assert manifest["counts"]["teacher: prompt tokens"] == 100 * replies
            assert manifest["counts"]["teacher: completion tokens"] == 50 * replies
            assert manifest["teacher_cost"] == pytest.approx(0.2 * replies)


def test_the_teacher_writes_the_way_back(tmp_path: Path) -> None:
    with scripted_endpoint(Script(other_way_back=True)) as url:
        paths = _synthesise(_recipe(tmp_path, url), tmp_path)
    counts = _counts(tmp_path)
    assert counts["teacher: ways back"] == counts["teacher: dead ends"] > 0
    assert "teacher: corrections without a reason" not in counts
    others = 0
    for dag in read_dags(tmp_path / "synth" / "dags.parquet"):
        numbers = [int(n) for n in dag.problem.spec["question"][8:-1].split(" + ")]
        in_order = {str(sum(numbers[:count])) for count in range(2, len(numbers) + 1)}
        live = [node for node in dag.nodes[1:] if node.status is not Status.DEAD]
        others += sum(node.state[1] not in in_order for node in live)
    assert others > 10  # nodes that only the ways back have
    assert all(grade(path.problem, path.answer) is Grade.RIGHT for path in paths)


def test_rows_that_are_dropped_on_reading_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted_endpoint(Script()) as url:
        recipe = _recipe(tmp_path, url, f"questions.test={tmp_path / 'sums.jsonl'}")
        with (tmp_path / "sums.jsonl").open("a", encoding="utf-8") as file:
            file.write('\n{"question": "What is 7 + 8?", "answer": "some"}\nbroken\n')
        _synthesise(recipe, tmp_path)
    counts = _counts(tmp_path)
    for split in ("", "test, "):
        assert counts[f"dropped: {split}an answer that the grader cannot read"] == 1
        assert counts[f"dropped: {split}not a record"] == 1
    assert "1 dropped: not a record" in capsys.readouterr().err


def test_worked_solutions_need_no_teacher(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"Ann has {n} apples and buys twice as many. How many are there?",
            "answer": f"She buys {n}*2 = <<{n}*2={2 * n}>>{2 * n}.\n"
            f"There are {n}+{2 * n} = <<{n}+{2 * n}={3 * n}>>{3 * n}.\n#### {3 * n}",
        }
        for n in range(5, 15)
    ]
    file = tmp_path / "apples.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = ["questions.name=sums", "questions.grader=number", "questions.answer_after=####"]
    recipe = load_recipe("questions", [f"questions.source={file}", *settings])
    paths = _synthesise(recipe, tmp_path)
    whole = [path for path in paths if not path.truncated]
    assert whole
    for path in whole:
        assert [step.decision for step in path.steps] == [Decision.PROCEED, Decision.END]
        assert path.steps[0].texts.verification.endswith("right.")
        assert "<<" not in path.steps[0].texts.summary
