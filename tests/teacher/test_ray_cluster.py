"""A teacher on a real Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from steiner.dags.store import read_paths
from steiner.dags.synthesis import synthesise
from steiner.recipe import TeacherRecipe
from steiner.recipe_file import load_recipe
from steiner.teacher import ray_cluster
from steiner.teacher.endpoint import EndpointTeacher
from steiner.teacher.ray_cluster import RayTeacher
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.teacher.steps import solving_messages
from steiner.teacher.synthesis import teacher_blocks
from steiner.types import Decision, RunError, UserError
from tests.teacher.scripted_endpoint import Script, scripted_endpoint, sums_file


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def _node_of_worker(_: object) -> str:
    return str(ray.get_runtime_context().get_node_id())


def _requests(count: int) -> list[TeacherRequest]:
    return [
        TeacherRequest(solving_messages(f"What is {n} + 4 + 5?", str(n + 9)), 0.0, 200)
        for n in range(count)
    ]


def _ask(teacher: Any, requests: list[TeacherRequest], on_first: Any = None) -> list[Reply]:
    found: dict[int, Reply] = {}
    counts: Counter[int] = Counter()

    def keep(place: int, reply: Reply) -> None:
        if not found and on_first:
            on_first()
        found[place] = reply
        counts[place] += 1

    teacher.replies(requests, keep, lambda: True)
    assert set(counts.values()) == {1}
    return [found[place] for place in range(len(requests))]


def test_two_nodes_answer_as_one_machine(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "_CHUNK", 4)
    requests = _requests(40)
    script = Script()
    with scripted_endpoint(script) as url:
        settings = TeacherRecipe(url=url, model="scripted")
        alone = _ask(EndpointTeacher(settings), requests)
        asked = Counter(script.requests)
        teacher = RayTeacher(replace(settings, ray=cluster.address), EndpointTeacher)
        assert _ask(teacher, requests) == alone
        workers = teacher._workers()
        nodes = [worker.__ray_call__.remote(_node_of_worker) for worker in workers]
        assert len(set(ray.get(nodes))) == len(workers) == 2
        assert teacher.identity == EndpointTeacher(settings).identity
    assert script.requests == asked + asked  # each once more


def test_a_killed_node_loses_nothing_and_duplicates_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "_CHUNK", 4)
    requests = _requests(60)
    node = cluster.add_node(num_cpus=1)
    with scripted_endpoint(Script()) as url:
        settings = TeacherRecipe(url=url, model="scripted")
        alone = _ask(EndpointTeacher(settings), requests)
        teacher = RayTeacher(replace(settings, ray=cluster.address), EndpointTeacher)
        together = _ask(teacher, requests, lambda: cluster.remove_node(node, allow_graceful=False))
    assert together == alone


@pytest.mark.parametrize(
    "error",
    [
        lambda reference: ray.exceptions.ObjectLostError(reference.hex(), "", ""),
        lambda _: ray.exceptions.ActorUnavailableError("busy", None),
    ],
)
def test_replies_that_are_lost_are_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Callable[[Any], Exception]
) -> None:
    """As of a node that dies between its answer and the reading of it, or that is too busy."""
    monkeypatch.setattr(ray_cluster, "_CHUNK", 4)
    monkeypatch.setattr(ray_cluster, "_PAUSE_S", 0.0)
    requests, get, lost = _requests(30), ray.get, []

    def get_or_lose(reference: Any, **options: Any) -> Any:
        if len(lost) < 3:
            lost.append(reference)
            raise error(reference)
        return get(reference, **options)

    with scripted_endpoint(Script()) as url:
        settings = TeacherRecipe(url=url, model="scripted")
        alone = _ask(EndpointTeacher(settings), requests)
        teacher = RayTeacher(replace(settings, ray=cluster.address), EndpointTeacher)
        monkeypatch.setattr(ray, "get", get_or_lose)
        assert _ask(teacher, requests) == alone
    assert len(lost) == 3


def test_a_cluster_makes_the_same_paths(cluster: Cluster, tmp_path: Path) -> None:
    file = sums_file(tmp_path)
    with scripted_endpoint(Script()) as url:
        for address in ("", cluster.address):
            overrides = [f"questions.source={json.dumps(str(file))}", "questions.grader=number"]
            overrides += [f"teacher.url={url}", "teacher.model=scripted", "questions.name=sums"]
            recipe = load_recipe("questions", [*overrides, f"teacher.ray={json.dumps(address)}"])
            folder = tmp_path / (address and "cluster")
            synthesise(recipe, folder / "synth", teacher_blocks(recipe, folder))
    alone, together = (
        list(read_paths(folder / "synth" / "paths.parquet"))
        for folder in (tmp_path, tmp_path / "cluster")
    )
    assert together == alone
    assert any(step.decision is Decision.BACKTRACK for path in alone for step in path.steps)


def test_errors_of_the_teacher_and_of_the_cluster_are_one_line(cluster: Cluster) -> None:
    with scripted_endpoint(Script(key="secret")) as url:
        settings = TeacherRecipe(url=url, model="scripted", ray=cluster.address)
        with pytest.raises(UserError, match="key"):
            _ask(RayTeacher(settings, EndpointTeacher), _requests(2))
    with pytest.raises(UserError, match=r"teacher\.url is 'ftp://x'"):
        RayTeacher(replace(settings, url="ftp://x"), EndpointTeacher)


def test_a_cluster_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(
        ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("nobody\nthere"))
    )
    settings = TeacherRecipe(url="http://127.0.0.1:9/v1", model="x", ray="127.0.0.1:9")
    with pytest.raises(RunError, match="no Ray cluster") as caught:
        _ask(RayTeacher(settings, EndpointTeacher), _requests(1))
    assert str(caught.value) == "no Ray cluster at 127.0.0.1:9: nobody"
    assert "ray start --head" in caught.value.hint
