"""A user's own ordinary text: files of each kind, shares, and the held-out part."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steiner.data.corpora import check_corpora, corpus_documents, held_out_corpus
from steiner.types import UserError

TEXTS = [f"Document {number} is about the number {number}." for number in range(400)]


def _corpus(folder: Path, suffix: str) -> str:
    file = folder / f"corpus{suffix}"
    if suffix == ".jsonl":
        lines = [json.dumps({"text": text}) for text in TEXTS]
        file.write_text("\n".join(lines), encoding="utf-8")
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{"content": text} for text in TEXTS]), file)
    else:
        # Each paragraph is long enough to be a document.
        file.write_text("\n\n".join((text + " ") * 120 for text in TEXTS), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".txt"])
def test_held_out_documents_are_never_dealt(tmp_path: Path, suffix: str) -> None:
    corpora = {_corpus(tmp_path, suffix): 1.0}
    held_out = {document.parts[1] for document in held_out_corpus(corpora, 100)}
    dealt = {document.parts[1] for document in islice(corpus_documents(corpora, "a"), 1000)}
    assert held_out
    assert not held_out & dealt
    assert len(held_out | dealt) == 400


def test_only_a_newline_ends_a_json_line(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"{n}\u2028b\u0085c"}, ensure_ascii=False) for n in "12"]
    (tmp_path / "corpus.jsonl").write_bytes("\r\n".join([*rows, ""]).encode())
    corpora = {str(tmp_path / "corpus.jsonl"): 1.0}
    documents = [*held_out_corpus(corpora, 100), *islice(corpus_documents(corpora, "a"), 2)]
    assert {document.parts[1] for document in documents} == {f"{n}\u2028b\u0085c" for n in "12"}


def test_a_short_text_has_a_held_out_document(tmp_path: Path) -> None:
    file = tmp_path / "handbook.txt"
    file.write_text("\n\n".join(f"Chapter {n}. " * 400 for n in range(3)), encoding="utf-8")
    corpora = {str(file): 1.0}
    held_out = {document.parts[1] for document in held_out_corpus(corpora, 100)}
    dealt = {document.parts[1] for document in islice(corpus_documents(corpora, "a"), 50)}
    assert (len(held_out), len(dealt)) == (1, 2)
    assert not held_out & dealt


@pytest.mark.parametrize("text", [f"Only document {number}." for number in range(100)])
def test_a_single_document_is_for_training(tmp_path: Path, text: str) -> None:
    """Whatever its hash is: of a hundred, some would be held out."""
    file = tmp_path / "one.txt"
    file.write_text(text, encoding="utf-8")
    assert held_out_corpus({str(file): 1.0}, 100) == []
    assert next(corpus_documents({str(file): 1.0}, "a")).parts[1] == text


def test_corpora_are_mixed_in_their_shares(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Something else. " * 10, encoding="utf-8")
    corpora = {_corpus(tmp_path, ".jsonl"): 3.0, str(other): 1.0}
    some = [d.parts[1] for d in islice(corpus_documents(corpora, "b"), 2000)]
    share = sum(text.startswith("Something") for text in some) / len(some)
    assert share == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"words": "x"}', "no column text or content"),
        ("a.jsonl", "{", "cannot read the corpus"),
        ("a.parquet", "x", "cannot read the corpus"),
        ("a.txt", "", "has no text"),
    ],
)
def test_a_bad_corpus_is_one_clear_error(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        next(corpus_documents({str(tmp_path / name): 1.0}, "c"))
    with pytest.raises(UserError, match=says):
        check_corpora({str(tmp_path / name): 1.0})


def test_a_missing_file_is_no_data_set(tmp_path: Path) -> None:
    for name in ("handbook.txt", "texts/handbook.jsonl", str(tmp_path / "handbook")):
        with pytest.raises(UserError, match="cannot read the corpus"):
            check_corpora({name: 1.0})
    check_corpora({"owner/texts": 1.0})  # the Hub is asked by the training


def test_shares_are_positive() -> None:
    with pytest.raises(UserError, match=r"the share of the corpus handbook\.txt is 0"):
        check_corpora({"handbook.txt": 0.0})
