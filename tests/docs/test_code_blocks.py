"""Every fenced block and every piece of inline code in the documentation is true.

Python runs, commands parse, JSON and TOML load, and paths and recipe keys exist. A block that
cannot be tested says so above its fence: `<!-- test: skip, the reason -->`.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from steiner.recipe import Recipe
from steiner.recipe_file import _keys, load_recipe
from tests.docs import shell_commands
from tests.docs.markdown_pages import Block, Page, pages

LANGUAGES = {"python", "console", "bash", "toml", "json", "jsonl", "text", "html", "makefile"}
BLOCKS = [block for page in pages() for block in page.blocks]
SERVER_URL = "http://127.0.0.1:8000"
"""Where the documentation's server listens; tests put a real server's address in its place."""
RECIPE_SECTIONS = {spec.name for spec in fields(Recipe)}


def _in(*languages: str) -> list[object]:
    chosen = [block for block in BLOCKS if block.language in languages]
    return [pytest.param(block, id=block.name) for block in chosen]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_block_names_its_language_and_directives_are_known(block: Block) -> None:
    assert block.language in LANGUAGES, f"{block.name}: name one of {sorted(LANGUAGES)}"
    assert not block.directive or block.skip_reason, f"{block.name}: write `skip, the reason`"


@pytest.mark.parametrize("block", _in("bash", "console"))
def test_commands_parse(block: Block) -> None:
    if block.skip_reason:
        pytest.skip(block.skip_reason)
    for command in shell_commands.commands(block.text, prompted=block.language == "console"):
        try:
            shell_commands.check_command(command)
        except Exception as error:
            pytest.fail(f"{block.name}: `{command}`: {error}")


@pytest.mark.parametrize("block", _in("toml"))
def test_toml_loads_and_recipes_are_valid(block: Block, tmp_path: Path) -> None:
    table = tomllib.loads(block.text)
    if RECIPE_SECTIONS & set(table):
        (tmp_path / "mine.toml").write_text(block.text, encoding="utf-8")
        load_recipe(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("block", _in("json", "jsonl"))
def test_json_loads(block: Block) -> None:
    texts = [block.text] if block.language == "json" else block.text.splitlines()
    for text in texts:
        json.loads(text)


@pytest.mark.parametrize("block", _in("python"))
def test_python_compiles(block: Block) -> None:
    ast.parse(block.text, block.name)


def _tested_python(page: Page) -> list[Block]:
    return [b for b in page.blocks if b.language == "python" and not b.skip_reason]


@pytest.mark.parametrize(
    "page", [page for page in pages() if _tested_python(page)], ids=lambda page: page.name
)
def test_python_runs(page: Page, workspace: Path, request: pytest.FixtureRequest) -> None:
    """A page's blocks run one after the other, as a reader would paste them."""
    blocks = _tested_python(page)
    if any(SERVER_URL in block.text for block in blocks):
        url = request.getfixturevalue("server_url")
        blocks = [replace(block, text=block.text.replace(SERVER_URL, url)) for block in blocks]
    given = json.dumps([(block.name, block.text) for block in blocks])
    done = subprocess.run(
        [sys.executable, "-c", _RUN_BLOCKS],
        input=given,
        cwd=workspace,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


_RUN_BLOCKS = """
import json, sys
names = {"__name__": "__main__"}
for block, text in json.load(sys.stdin):
    exec(compile(text, block, "exec"), names)
"""


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_inline_code_names_what_exists(page: Page) -> None:
    for code in page.inline_code:
        try:
            _check_inline(code, is_log=page.path.name == "log.md")
        except Exception as error:
            pytest.fail(f"{page.name}: `{code}`: {error}")


def _check_inline(code: str, *, is_log: bool) -> None:
    parts = code.split()
    if parts[0] in {"steiner", ".venv/bin/steiner"} and len(parts) > 1:
        check_inline_steiner(parts[1:])
    elif parts[0] == "make":
        shell_commands.check_make(shlex.split(code)[1:])
    elif not is_log and _RECIPE_KEY.fullmatch(parts[0].rstrip("=")):
        assert parts[0] in _keys(Recipe, ""), "no such key in a recipe"
    elif re.fullmatch(r"steiner(\.[a-z_]\w*)+(:\w+)?", code):
        shell_commands.check_module(code)
    else:
        shell_commands.check_path(parts[0])


_RECIPE_KEY = re.compile(rf"(?:{'|'.join(RECIPE_SECTIONS)})\.(?!py\b|toml\b|md\b|json\b)[a-z_]+")


def check_inline_steiner(parts: list[str]) -> None:
    """A command that may lack its arguments: subcommand and options exist."""
    subcommand = [part for part in parts if not part.startswith("-")][:1]
    help_text = shell_commands.help_of(subcommand)
    for part in parts:
        if part.startswith("--"):
            assert part.partition("=")[0] in help_text, f"no option {part}"
