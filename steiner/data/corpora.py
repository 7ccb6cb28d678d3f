"""A user's own ordinary text for continual pre-training.

{file or data set: share} -> documents; one in fifty is held out for perplexity, at least one

Text files are cut at empty lines into documents of some thousand characters. JSON lines and Parquet
have a document a row, in the column `text` or `content`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from steiner.data.ordinary_text import Document
from steiner.files import reason_and_hint
from steiner.hub_access import check_data_set
from steiner.randomness import random_stream
from steiner.types import UserError, reason_of

COLUMNS = ("text", "content")
_HELD_OUT_ONE_IN = 50
_DOCUMENT_CHARACTERS = 4_000
_FILE_SUFFIXES = (".txt", ".md", ".jsonl", ".json", ".parquet")


def corpus_documents(corpora: Mapping[str, float], *names: object) -> Iterator[Document]:
    """Documents of the corpora in their shares, without end; those held out are left out.

    Raises UserError if a corpus cannot be read or is empty.
    """
    rng = random_stream("corpora", *names)
    streams = {source: _endless(source) for source in corpora}
    while True:
        source = rng.choices(list(corpora), list(corpora.values()))[0]
        yield Document(("", next(streams[source])))


def held_out_corpus(corpora: Mapping[str, float], count: int) -> list[Document]:
    """The first `count` held-out documents, the same number of each corpus. None of a corpus with
    a single document: all of it is for training.

    Raises UserError as `corpus_documents` does.
    """
    share = max(1, count // len(corpora))
    return [Document(("", text)) for source in corpora for text in _split(source)[1][:share]]


def check_corpora(corpora: Mapping[str, float]) -> None:
    """Raises UserError for a file that cannot be read or is empty, and for one that is missing.

    What may be a data set on the Hub is not asked for.
    """
    for source, share in corpora.items():
        if share <= 0:
            raise UserError(f"the share of the corpus {source} is {share:g}", "give a positive one")
        if _is_file(source):
            _split(source)


def _is_file(source: str) -> bool:
    """True for a file, and for a missing one by its name."""
    path = Path(source)
    return path.is_file() or path.is_absolute() or path.suffix in _FILE_SUFFIXES


def _endless(source: str) -> Iterator[str]:
    texts, _ = _split(source)
    random_stream("corpus", source).shuffle(texts)
    return cycle(texts)


def _split(source: str) -> tuple[list[str], list[str]]:
    """The texts for training, and those held out: one in fifty by a hash, at least one of two."""
    texts = list(_texts(source))
    if not texts:
        raise UserError(f"the corpus {source} has no text", "remove it from cpt.corpora")
    hashes = {text: _hash(text) for text in texts}
    held_out = {text for text, number in hashes.items() if number % _HELD_OUT_ONE_IN == 0}
    held_out = held_out or {min(hashes, key=hashes.__getitem__)}
    training = [text for text in texts if text not in held_out]
    if not training:
        return texts, []
    return training, [text for text in texts if text in held_out]


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def _texts(source: str) -> Iterator[str]:
    path = Path(source)
    if not _is_file(source):
        return (_text_of(row, source) for row in _hub_rows(source))
    try:
        if path.suffix in (".jsonl", ".json"):
            with path.open(encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines if line.strip()]
            return iter([_text_of(row, source) for row in rows])
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            return iter([_text_of(row, source) for row in pq.read_table(path).to_pylist()])
        return _documents_of(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason, hint = reason_and_hint(error, "give text, JSON lines or Parquet, in UTF-8")
        raise UserError(f"cannot read the corpus {source}: {reason}", hint) from error


def _documents_of(text: str) -> Iterator[str]:
    """Paragraphs joined into documents of about _DOCUMENT_CHARACTERS."""
    parts: list[str] = []
    for paragraph in text.split("\n\n"):
        parts.append(paragraph)
        if sum(map(len, parts)) >= _DOCUMENT_CHARACTERS:
            yield "\n\n".join(parts)
            parts = []
    if any(part.strip() for part in parts):
        yield "\n\n".join(parts)


def _text_of(row: Any, source: str) -> str:
    for name in COLUMNS:
        if isinstance(row, Mapping) and isinstance(row.get(name), str):
            return str(row[name])
    columns = " or ".join(COLUMNS)
    raise UserError(f"a row of the corpus {source} has no column {columns}", "rename its column")


def _hub_rows(source: str) -> Iterator[Any]:
    if not Path(source).is_dir():
        check_data_set(source)
    from datasets import load_dataset

    try:
        return iter(load_dataset(source, split="train"))
    except Exception as error:  # the library raises many kinds, some of its dependencies
        reason = reason_of(error)
        hint = "cpt.corpora names files, or data sets on the Hugging Face Hub"
        raise UserError(f"no corpus {source}: {reason}", hint) from error
