"""The search tree: positions, marks and the drawing."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.inference.search_tree import Branch, Mark, Tree, TreeNode, build_tree
from steiner.inference.tree_drawing import ASCII, UNICODE, draw, legend, title
from steiner.randomness import random_stream
from steiner.tasks import generate_problems
from steiner.types import Decision, Split, Step, StepTexts
from tests.puzzles import PUZZLES, walks_through

PROCEED, BACKTRACK, END = Decision.PROCEED, Decision.BACKTRACK, Decision.END


def _step(name: str, decision: Decision) -> Step:
    return Step(StepTexts(name, "", "", ""), decision, 1)


SEARCH = [
    _step("try a", PROCEED),
    _step("then b", PROCEED),
    _step("then c", BACKTRACK),
    _step("or d", BACKTRACK),
    _step("or e", END),
]
"""Its decisions alone put c, d and e under b."""


def test_decisions_alone_give_the_depth() -> None:
    steps, tree = build_tree(SEARCH)
    assert [step.depth for step in steps] == [1, 2, 3, 3, 3]
    assert [node.parent for node in tree.nodes] == [None, 0, 1, 1, 1]
    assert tree.children() == {None: [0], 0: [1], 1: [2, 3, 4]}
    assert tree.num_backtracks == 2


def test_a_stated_depth_counts_if_the_branch_reaches_it() -> None:
    branch = Branch()
    positions = [
        branch.add(stated, before)
        for stated, before in [(1, None), (2, PROCEED), (3, PROCEED), (1, BACKTRACK), (7, PROCEED)]
    ]
    assert [position.depth for position in positions] == [1, 2, 3, 1, 2]  # 7 is ignored
    assert [position.parent for position in positions] == [None, 0, 1, None, 3]


@given(st.lists(st.tuples(st.none() | st.integers(-3, 9), st.sampled_from(Decision))))
def test_every_position_is_in_the_tree(walk: list[tuple[int | None, Decision]]) -> None:
    branch, before = Branch(), None
    depths: list[int] = []
    for stated, decision in walk:
        position = branch.add(stated, before)
        assert position.depth == 1 + (0 if position.parent is None else depths[position.parent])
        assert position.parent is None or position.parent < len(depths)
        depths.append(position.depth)
        before = decision


@pytest.mark.parametrize("name", PUZZLES)
def test_tree_of_a_sampled_path_is_the_walk_that_was_sampled(name: str) -> None:
    problem = next(generate_problems(name, 1, seed=3, split=Split.TEST))
    walk = Walk(explore=0.6, cut=0.0)
    for path in walks_through(build_dag(problem), 20, walk, random_stream("tree", name)):
        steps, tree = build_tree(path.steps, problem)
        assert [step.depth for step in steps] == [step.depth for step in path.steps]
        assert tree.nodes[-1].mark is Mark.UNVERIFIED
        assert [node.mark is Mark.DEAD_END for node in tree.nodes] == [
            step.decision is BACKTRACK for step in path.steps
        ]


def test_marks_show_the_outcome_of_each_step() -> None:
    abandoned = [_step("a", PROCEED), _step("b", PROCEED), _step("c", BACKTRACK)]
    branch_again = [*abandoned, _step("d", PROCEED), _step("e", END)]
    assert [n.mark for n in build_tree(branch_again)[1].nodes] == [
        Mark.PROCEED,
        Mark.PROCEED,
        Mark.DEAD_END,
        Mark.PROCEED,
        Mark.UNVERIFIED,
    ]


@pytest.mark.parametrize(
    ("accepted", "stopped", "mark"),
    [
        (True, False, Mark.GOAL),
        (False, False, Mark.REJECTED),
        (None, False, Mark.UNVERIFIED),
        (None, True, Mark.STOPPED),
        (False, True, Mark.STOPPED),
        (True, True, Mark.GOAL),
    ],
)
def test_the_last_mark_follows_the_grade(accepted: bool | None, stopped: bool, mark: Mark) -> None:
    tree = build_tree(SEARCH, accepted=accepted, stopped=stopped)[1]
    assert tree.nodes[-1].mark is mark


def test_an_end_whose_words_name_no_goal_is_stopped() -> None:
    problem = next(generate_problems("countdown", 1, seed=3, split=Split.TEST))
    target = problem.spec["target"]
    texts = StepTexts(
        "Step 1 from 9 3 2: 3 + 2 = 5",
        "Left over 9",
        "Now we hold 9 5",
        f"Target {target}: 9 + 5 = 14 no, 9 - 5 = 4 no, 9 * 5 = 45 no. Dead end",
    )
    assert build_tree([Step(texts, END, 1)], problem)[1].nodes[0].mark is Mark.STOPPED


def test_a_backtracked_step_differs_from_a_dead_end() -> None:
    problem = next(generate_problems("countdown", 1, seed=3, split=Split.TEST))
    words = [
        ("Step 1 from 3 3 2 1: 2 + 1 = 3", PROCEED),
        ("Step 2 from 3 3 3: 3 + 3 = 6", BACKTRACK),
        ("Step 1 from 3 3 2 1: 3 + 3 = 6", END),
    ]
    tree = build_tree([_step(name, decision) for name, decision in words], problem)[1]
    assert [node.mark for node in tree.nodes] == [Mark.BACKTRACKED, Mark.DEAD_END, Mark.STOPPED]


def test_drawing() -> None:
    steps, tree = build_tree(SEARCH, accepted=True)
    assert draw(tree, steps) == [
        "question",
        "└─ ● 1  try a",
        "  └─ ● 2  then b",
        "    ├─ ✗ 3  then c",
        "    ├─ ✗ 4  or d",
        "    └─ ★ 5  or e",
    ]
    assert legend(tree) == "● continued   ✗ judged a dead end, went back   ★ goal"


def test_rails_end_with_the_last_child() -> None:
    steps, tree = build_tree([_step(f"Step {depth}: go", PROCEED) for depth in (1, 2, 1)])
    forked = Tree((TreeNode(1, None, Mark.PROCEED), TreeNode(2, 0, Mark.PROCEED), tree.nodes[0]))
    assert [line[:6] for line in draw(forked, steps)[1:]] == ["├─ ● 1", "│ └─ ●", "└─ ● 3"]


def test_a_search_may_be_deeper_than_pythons_stack() -> None:
    depth = sys.getrecursionlimit() + 500
    steps, tree = build_tree([_step("deeper", PROCEED)] * depth)
    lines = draw(tree, steps, width=60)
    assert len(lines) == depth + 1
    assert lines[-1] == f"{'  ' * (depth - 1)}└─ ● {depth}  deeper"


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_every_mark_has_its_own_character(glyphs: object) -> None:
    assert len(set(glyphs.marks.values())) == len(Mark)  # type: ignore[attr-defined]


def test_ascii_drawing_is_ascii() -> None:
    steps, tree = build_tree([_step("x" * 300, PROCEED), *SEARCH])
    lines = draw(tree, steps, glyphs=ASCII, width=60)
    assert "\n".join(lines).isascii()
    assert max(map(len, lines)) <= 60


def test_title_is_one_line_without_depth_and_control_characters() -> None:
    step = Step(StepTexts("Step 2: go\n \x1b[2Jleft", "", "", ""), END, 2)
    assert title(step) == "go \ufffd[2Jleft"


@pytest.mark.parametrize(
    ("next_step", "shown"),
    [
        ("Step 2: 8 / 4 = 2", "8 / 4 = 2"),
        ("Step 2 of 6 from A 0, B 5: fill A", "fill A"),
        ("Step 2 from 8 4 3: 8 / 4 = 2", "8 / 4 = 2"),
        (
            "Step 2, A 1 2 3 4 / B 3 4 _ _ / C 2 _ 4 _ / D 4 3 2 1: C 2 _ 4 _ is 2 1 4 3",
            "C 2 _ 4 _ is 2 1 4 3",
        ),
        (
            f"Step 2 with {', '.join(['Elizabeth knight'] * 5)}: suppose Zoe is a knave",
            "suppose Zoe is a knave",
        ),
        ("Step 3: another depth", "Step 3: another depth"),
        ("Step 2:", "Step 2:"),
        ("Option 20 is good: take it", "Option 20 is good: take it"),
    ],
)
def test_title_leaves_out_only_the_depth(next_step: str, shown: str) -> None:
    assert title(Step(StepTexts(next_step, "", "", ""), END, 2)) == shown
