"""Free English text for pre-training the base, from Debian's packages.

    python -m steiner.data.ordinary_text.sources .base-text

packages -> passages.parquet (columns text, source), read by prose.py

docs/embedded-base.md lists the sources with their licences. Downloads are kept, so an interrupted
run continues where it stopped.
"""

from __future__ import annotations

import gzip
import html
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steiner.data.ordinary_text.prose import cut, is_plain
from steiner.files import replacing
from steiner.progress import progress
from steiner.types import RunError

PASSAGES = "passages.parquet"

_MAX_CHARACTERS = 9_000_000
"""Most characters of one source, so that none crowds out the others."""
_TAG = re.compile(r"<(script|style|pre|code)\b.*?</\1>|<[^>]+>", re.DOTALL | re.IGNORECASE)
_BLOCK_END = re.compile(r"</(p|li|div|h\d|dd|dt|td|blockquote)>|<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A package with free text."""

    package: str
    pattern: str
    """Its files with text, as a glob."""
    paragraphs: Callable[[str], Iterator[str]]
    licence: str


def plain(text: str) -> Iterator[str]:
    """Paragraphs that blank lines separate."""
    for block in re.split(r"\n\s*\n", text):
        yield re.sub(r"^\s+", "", block, flags=re.MULTILINE)


def web_page(text: str) -> Iterator[str]:
    """Paragraphs of an HTML page, without its markup and its code."""
    marked = _BLOCK_END.sub("\n\n", re.sub(r"\s*\n\s*", " ", text))
    yield from plain(html.unescape(_TAG.sub("", marked)))


def fortunes(text: str) -> Iterator[str]:
    """Sayings, which lines with a percent sign separate."""
    yield from text.split("\n%\n")


def glosses(text: str) -> Iterator[str]:
    """WordNet's definitions and example sentences, one word each."""
    for line in text.splitlines():
        head, _, gloss = line.partition(" | ")
        if gloss and not line.startswith("  "):
            word = head.split()[4].replace("_", " ")
            definition, *examples = [part.strip(' "') for part in gloss.split("; ")]
            sentences = (example[:1].upper() + example[1:] + "." for example in examples)
            yield f"{word[:1].upper() + word[1:]}: {definition}. {' '.join(sentences)}"


def dictionary(text: str) -> Iterator[str]:
    """Entries of a dictionary in dict's format, without pronunciation and marks of sources."""
    for block in plain(text):
        block = re.sub(r"\[[^\]]*\]|\\[^\\]*\\|\{|\}", "", block)
        yield re.sub(r"\s+", " ", block)


SOURCES = (
    Source("dict-gcide", "usr/share/dictd/gcide.dict.dz", dictionary, "GPL-3+"),
    Source("dict-foldoc", "usr/share/dictd/foldoc.dict.dz", dictionary, "GFDL-1.2+"),
    Source("dict-jargon", "usr/share/dictd/jargon.dict.dz", dictionary, "public domain"),
    Source("dict-devil", "usr/share/dictd/devil.dict.dz", dictionary, "public domain"),
    Source("wordnet-base", "usr/share/wordnet/data.*", glosses, "WordNet licence"),
    Source("fortunes", "usr/share/games/fortunes/*", fortunes, "BSD"),
    Source("fortunes-min", "usr/share/games/fortunes/*", fortunes, "BSD"),
    Source("anarchism", "usr/share/doc/anarchism/**/*.html", web_page, "GPL-2+ or GFDL"),
    Source(
        "debian-handbook", "usr/share/doc/debian-handbook/html/en-US/*.html", web_page, "GPL-2+"
    ),
    Source("debian-faq", "usr/share/doc/debian/FAQ/*.en.html", web_page, "GPL-2+"),
    Source("developers-reference", "usr/share/developers-reference/*.html", web_page, "GPL-2+"),
    Source("debian-policy", "usr/share/doc/debian-policy/**/*.html", web_page, "GPL-2+"),
    Source("rust-doc", "usr/share/doc/rust-doc/html/**/*.html", web_page, "MIT or Apache-2.0"),
    Source("git-doc", "usr/share/doc/git/html/*.html", web_page, "GPL-2"),
    Source("miscfiles", "usr/share/**/*.gz", plain, "GPL-2+ and public domain"),
)


def fetch(folder: Path) -> None:
    """Downloads what is missing, and writes `folder/passages.parquet`.

    Raises RunError if a package cannot be had; apt-get and dpkg are needed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, str] = {}
    with progress("base text", len(SOURCES), "source") as advance:
        for source in SOURCES:
            for passage in _passages(source, _unpacked(source.package, folder)):
                found.setdefault(passage, source.package)
            advance(1)
    table = pa.table({"text": list(found), "source": list(found.values())})
    with replacing(folder / PASSAGES) as partial:
        pq.write_table(table, partial, compression="zstd", compression_level=19)
    for source in SOURCES:
        own = [text for text, name in found.items() if name == source.package]
        print(f"{source.package:24}{len(own):>8,} passages{sum(map(len, own)):>12,} characters")


def _unpacked(package: str, folder: Path) -> Path:
    """The folder with the package's files."""
    target = folder / package
    if target.is_dir():
        return target
    try:
        command = ["apt-get", "download", "-qq", package]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive.name, f"{package}.partial"], cwd=folder, check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise RunError(
            f"cannot download the Debian package {package}",
            "run `apt-get update` first; it needs apt-get, dpkg and a network",
        ) from error
    (folder / f"{package}.partial").rename(target)
    return target


def _passages(source: Source, root: Path) -> Iterator[str]:
    """The source's passages, up to _MAX_CHARACTERS evenly from its files."""
    texts = [_read(file) for file in sorted(root.glob(source.pattern)) if file.is_file()]
    passages = [passage for text in texts for passage in cut(_plain(source.paragraphs(text)))]
    total = sum(map(len, passages))
    step = max(1, -(-total // _MAX_CHARACTERS))
    yield from passages[::step]


def _plain(paragraphs: Iterator[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        text = " ".join(paragraph.split())
        if is_plain(paragraph, text):
            yield text


def _read(file: Path) -> str:
    data = file.read_bytes()
    if file.suffix in (".gz", ".dz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError):
            return ""
    text = data.decode("utf-8", errors="replace")
    return text.translate(_ASCII)


_ASCII = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - "}
    | {"\u2026": "...", "\u00a0": " ", "\r": ""}
)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
