"""Checks shell commands of the documentation against the real command line and Makefile.

the parts of a command -> AssertionError, or nothing
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from steiner.cli.main import build_parser
from steiner.recipe_file import load_recipe
from tests.docs.markdown_pages import ROOT

EXTERNAL = {
    *(".", "cat", "cd", "cp", "curl", "echo", "export", "git", "head", "jq", "ls", "mkdir"),
    *("apt-get", "docker", "hf", "inspect", "lm_eval", "pip", "python3", "sudo", "tensorboard"),
    *("torchrun", "accelerate", "uv", "vllm"),
}
"""Programs that are not ours; only paths and modules in their arguments are checked."""

REPOSITORY_FOLDERS = {
    path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")
} - {"runs", "site", "build", "dist", "models", "data", "published"}

_OPERATORS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>"}
_MODULE = re.compile(r"\bsteiner(?:\.[a-z_][a-z_0-9]*)+(?::\w+)?")


def commands(text: str, *, prompted: bool) -> Iterator[str]:
    """The commands of a block, continuation lines joined.

    In a `console` block (`prompted`) a command begins with `$ `, and all other lines are output.
    """
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    joined = re.sub(
        r"('[^'\n]*(?:\n[^'\n]*)*')", lambda quoted: quoted[1].replace("\n", " "), joined
    )
    for line in joined.splitlines():
        if prompted and not line.startswith("$ "):
            continue
        command = line.removeprefix("$ ").strip()
        if command and not command.startswith("#"):
            yield command


def check_command(line: str) -> None:
    """Raises AssertionError or UserError where a command of the line would not work."""
    for parts in _simple_commands(line):
        _check_parts(parts)
    for module in _MODULE.findall(line):
        check_module(module)


def _simple_commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.wordchars += ":,@[]{}%+^"
    parts: list[str] = []
    skip_next = False
    for part in lexer:
        if skip_next:
            skip_next = False
        elif part in _OPERATORS:
            skip_next = part in {">", ">>", "<", "2>"}
            if not skip_next:
                yield parts
                parts = []
        else:
            parts.append(part)
    yield parts


def _check_parts(parts: list[str]) -> None:
    while parts and re.fullmatch(r"[A-Z_]+=.*", parts[0]):  # VARIABLE=value before a command
        parts = parts[1:]
    if not parts:
        return
    program = Path(parts[0]).name if parts[0] != "." else "."
    if program == "steiner":
        check_steiner(parts[1:])
    elif program == "make":
        check_make(parts[1:])
    elif program == "python" and "-m" in parts:
        module = parts[parts.index("-m") + 1]
        assert importlib.util.find_spec(module.partition(".")[0]), f"no module {module}"
        if module.partition(".")[0] in REPOSITORY_FOLDERS:
            assert importlib.util.find_spec(module), f"no module {module}"
    else:
        assert program in EXTERNAL | {"python"}, f"unknown program {program}"
    for part in parts[1:]:
        check_path(part)


def check_steiner(arguments: list[str]) -> None:
    """Parses them with the command's own parser, and reads the recipe that they ask for."""
    if set(arguments) & {"--help", "--version"}:
        return
    options = build_parser().parse_args(arguments)
    if not hasattr(options, "overrides"):
        return
    has_own = arguments[0] == "questions" or getattr(options, "questions", None)
    named = getattr(options, "recipe", None) or getattr(options, "planned", None)
    recipe = named or ("questions" if has_own else "tiny")
    if not str(recipe).endswith(".toml"):
        load_recipe(recipe, options.overrides)


def help_of(subcommand: list[str]) -> str:
    """The text of `steiner [SUBCOMMAND] --help`."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        build_parser().parse_args([*subcommand, "--help"])
    return shown.getvalue()


def check_make(arguments: list[str]) -> None:
    """Every target and variable is in the Makefile; figures are known to the benchmarks."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for argument in arguments:
        variable, equals, value = argument.partition("=")
        if not equals:
            assert re.search(rf"^{re.escape(argument)}:", makefile, re.M), f"no target {argument}"
            continue
        assert re.search(rf"^{re.escape(variable)} \?=", makefile, re.M), f"no variable {variable}"
        if variable == "FIGURE":
            from benchmarks.run import FIGURES

            names = re.findall(r"(?:^|(?<= ))[a-z][a-z0-9-]*", re.sub(r"--\S+ \S+", "", value))
            unknown = [name for name in names if name not in {*FIGURES, "name"}]
            assert not unknown, f"no figures {unknown}"


def check_path(part: str) -> None:
    """A path into one of the repository's folders exists; everything else passes."""
    path = part.partition("::")[0].rstrip("/,.")
    first, slash, _ = path.partition("/")
    if slash and first in REPOSITORY_FOLDERS and not re.search(r"[<>*{}…]", path):
        assert (ROOT / path).exists(), f"no file {path}"


def check_module(dotted: str) -> None:
    """`steiner.module`, `steiner.module.name` or `steiner.module:name` exists."""
    module, _, attribute = dotted.partition(":")
    parts = module.split(".")
    path = ROOT.joinpath(*parts)
    if not (path.is_dir() or path.with_suffix(".py").exists()):
        path, attribute = ROOT.joinpath(*parts[:-1]), parts[-1]
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert source.exists(), f"no module {module}"
    if attribute:
        defined = re.search(rf"\b{attribute}\b", source.read_text(encoding="utf-8"))
        assert defined, f"no {attribute} in {source.relative_to(ROOT)}"
