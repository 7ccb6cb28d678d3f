"""Natural text: docstrings, help topics and comments of Python's standard library, in passages, and
free English text where it has been fetched.

.py files of the standard library, read but never imported; passages.parquet -> passages

A file of the library belongs to training or, by a hash of its path, to the 5 % held out for
perplexity. The passages of sources.py are for training the base only; they are read from the folder
that STEINER_BASE_TEXT names.
"""

from __future__ import annotations

import ast
import hashlib
import os
import random
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

HELD_OUT_SHARE = 0.05
MIN_WORDS, MAX_WORDS = 80, 200

_LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__", "turtledemo"}
_COMMENTS = re.compile(r"(?m)(?:^[ \t]*#.*\n){2,}")
_CODE = re.compile(r"^\s*(>>>|\.\.\.|\$|#|\|)|[{}=<>\[\]]|\w\(|__")


def prose(rng: random.Random, held_out: bool = False) -> Iterator[str]:
    """Endless passages; each pass over the files has a new order."""
    fetched = () if held_out else fetched_passages(os.environ.get("STEINER_BASE_TEXT", ""))
    while True:
        pieces = [*passages(held_out), *fetched]
        rng.shuffle(pieces)
        yield from pieces


@cache
def fetched_passages(folder: str) -> tuple[str, ...]:
    """The passages of `folder/passages.parquet`, none that is held out; none without a folder."""
    if not folder:
        return ()
    table = pq.read_table(Path(folder) / "passages.parquet", columns=["text"])
    held_out = set(passages(True))
    return tuple(text for text in table.column("text").to_pylist() if text not in held_out)


@cache
def passages(held_out: bool) -> tuple[str, ...]:
    """All passages of one side of the split in file order, without repetitions; no passage is
    on both sides, even if two files share a text."""
    found: dict[str, None] = {}
    for path in source_files(held_out):
        found |= dict.fromkeys(cut(_paragraphs(path)))
    trained = set(passages(False)) if held_out else set()
    return tuple(passage for passage in found if passage not in trained)


def source_files(held_out: bool) -> list[Path]:
    """The library's .py files on one side of the split."""
    root = Path(sysconfig.get_paths()["stdlib"])
    tops = (root / name for name in sorted(sys.stdlib_module_names))
    files = [f for top in tops for f in (top.with_suffix(".py"), *sorted(top.rglob("*.py")))]
    return [
        file
        for file in files
        if file.is_file()
        and not _LEFT_OUT & set(file.relative_to(root).parts)
        and _is_held_out(file.relative_to(root)) == held_out
    ]


def _is_held_out(path: Path) -> bool:
    digest = hashlib.sha256(f"prose/{path.as_posix()}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE


def _paragraphs(path: Path) -> Iterator[str]:
    """Paragraphs of plain sentences in a file, with white space normalised."""
    for written in _texts(path):
        for block in re.split(r"\n\s*\n", written):
            text = " ".join(block.split()).replace("``", "").replace("`", "")
            if is_plain(block, text):
                yield text


def _texts(path: Path) -> Iterator[str]:
    """Docstrings, tables of text and blocks of comments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
        except (SyntaxError, UnicodeDecodeError):
            return
    yield from _strings(tree.body)
    for block in _COMMENTS.findall(source):
        yield re.sub(r"(?m)^[ \t]*#+ ?", "", block)


def _strings(body: list[ast.stmt]) -> Iterator[str]:
    """Docstrings, and the values of tables such as pydoc's topics; expressions are skipped."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _strings(node.body)
        elif isinstance(node, ast.Expr):
            yield from _constants([node.value])
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            yield from _constants(node.value.values)


def _constants(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def is_plain(block: str, text: str) -> bool:
    """True for at least five words, nearly all of letters, without code or special tokens."""
    words = text.split()
    if len(words) < 5 or "<|" in text or not text.isascii():
        return False
    coded = sum(bool(_CODE.search(word)) for word in words)
    lettered = sum(word.strip(".,;:!?()'\"").isalpha() for word in words)
    lines = block.splitlines()
    return (
        coded <= len(words) / 20
        and lettered >= 0.8 * len(words)
        and not any(line.lstrip().startswith((">>>", "$", "|", "+-")) for line in lines)
    )


def cut(paragraphs: Iterator[str]) -> Iterator[str]:
    """Paragraphs joined into passages of MIN_WORDS to about MAX_WORDS words."""
    held: list[str] = []
    count = 0
    for paragraph in paragraphs:
        for piece in _sentences(paragraph):
            held.append(piece)
            count += len(piece.split())
            if count >= MIN_WORDS:
                yield "\n".join(held)
                held, count = [], 0
    if count >= MIN_WORDS // 4:
        yield "\n".join(held)


def _sentences(paragraph: str) -> list[str]:
    """The paragraph if it is short enough, else pieces that end with a sentence."""
    if len(paragraph.split()) <= MAX_WORDS - MIN_WORDS:
        return [paragraph]
    return re.split(r"(?<=[.!?]) (?=[A-Z])", paragraph)
