"""Imports go one way, and slow libraries are imported only when needed."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import steiner

PACKAGE = Path(steiner.__file__).parent
LAYERS = (
    {"__init__", "types"},
    {"processes"},
    {"files", "allocator", "randomness", "progress", "recipe", "hub_access"},
    {"recipe_file"},
    {"tasks"},
    {"questions"},
    {"dags"},
    {"format"},
    {"models"},
    {"inference"},
    {"teacher"},
    {"data"},
    {"training"},
    {"rl"},
    {"evaluation"},
    {"serving"},
    {"pipeline"},
    {"cli"},
    {"__main__"},
)
"""Lowest first. A module imports from its own layer and from lower ones."""

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def _layer(dotted: str) -> str:
    """ "steiner.dags.path_sampling" -> "dags"; "steiner" itself -> "__init__"."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def _file_layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "steiner":
                yield from (_submodule(alias.name) for alias in node.names)
            elif node.module and _is_ours(node.module):
                yield node.module


def _is_ours(dotted: str) -> bool:
    return dotted.split(".")[0] == "steiner"


def _submodule(name: str) -> str:
    """The target of `from steiner import name`: a module, or a name in steiner/__init__.py."""
    return f"steiner.{name}" if name in RANK else "steiner"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path: Path) -> None:
    own = _file_layer(path)
    if own == "__init__":
        return  # the package re-exports names of upper layers, imported on first use
    assert own in RANK, f"{own} is in no layer: name it in LAYERS"
    upwards = [name for name in _imports(path) if RANK[_layer(name)] > RANK[own]]
    assert not upwards, f"{own} may not import {upwards}"


def _module(path: Path) -> str:
    """ "steiner/dags/store.py" -> "steiner.dags.store"; a package's __init__ has its name."""
    parts = ("steiner", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def _imported_modules(path: Path, modules: frozenset[str]) -> set[str]:
    """Every module of the package that a file imports, at its top or inside a function."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            imported |= (names & modules) or {node.module}
    return imported & modules


def test_no_two_modules_import_each_other_by_any_way() -> None:
    modules = frozenset(map(_module, FILES))
    graph = {_module(path): _imported_modules(path, modules) for path in FILES}
    graph.pop("steiner")  # the front door imports upper layers when a name is asked for
    sorter = graphlib.TopologicalSorter(graph)
    sorter.prepare()  # raises CycleError with the modules of the cycle


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_has_a_docstring_and_a_specific_name(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert path.stem not in {"utils", "helpers", "common"}


@pytest.mark.parametrize(
    "module", ["steiner", "steiner.cli.main", "steiner.pipeline.runs", "steiner.types"]
)
def test_import_loads_no_torch(module: str) -> None:
    heavy = {"torch", "transformers", "trl", "datasets", "pyarrow", "numpy"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _public_types(path: Path) -> Iterator[str]:
    """The classes and type aliases that a file defines at its top, without private ones."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        for target in targets:
            name = target.id if isinstance(target, ast.Name) else getattr(target, "name", "_")
            if name[0].isupper() and not name.isupper():
                yield name


def test_no_two_modules_define_a_type_of_the_same_name() -> None:
    counts = Counter(name for path in FILES for name in _public_types(path))
    assert counts["Rollout"] == counts["GradingRequest"] == 1
    assert [name for name, count in counts.items() if count > 1] == []
