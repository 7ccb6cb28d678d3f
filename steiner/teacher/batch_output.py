"""The output file of a batch command, and the requests that wait for a line of it.

lines of JSON -> Replies

    {"custom_id": DIGEST, "response": {"status_code": 200, "body": CHAT_COMPLETION}, "error": null}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from steiner.progress import plural, say
from steiner.teacher.chat_completions import (
    FAILURES_IN_A_ROW,
    ResponseReader,
    length_of_row,
    reply_in,
)
from steiner.teacher.requests import Reply, TeacherRequest

_NO_LINE = "no line in the output of the command"


class WaitingRequests:
    """The requests that have no reply yet; equal ones get the same reply."""

    def __init__(
        self,
        requests: Sequence[TeacherRequest],
        identity: str,
        on_reply: Callable[[int, Reply], None],
        reader: ResponseReader,
    ) -> None:
        self._requests, self._on_reply, self._reader = requests, on_reply, reader
        self._places: dict[str, list[int]] = {}
        """Digest of a waiting request -> its places among all requests."""
        for place, request in enumerate(requests):
            self._places.setdefault(request.digest(identity), []).append(place)
        self._known = frozenset(self._places)
        self._reasons: dict[str, str] = {}
        """Digest -> why its last line is no reply."""
        self._failed: dict[int, str] = {}
        """Place -> why the request failed for good."""

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[tuple[str, TeacherRequest]]:
        """Each with its digest."""
        return ((digest, self._requests[places[0]]) for digest, places in self._places.items())

    def why(self) -> str:
        """`3 status 500, 1 no line in the output of the command`."""
        counts = Counter(self._reasons.get(digest, _NO_LINE) for digest in self._places)
        return ", ".join(f"{number:,} {reason}" for reason, number in counts.items())

    def take_replies(self, file: Path) -> None:
        """Takes the replies of an earlier run of the command. What failed there is asked again."""
        for line in _lines(file):
            digest, status, body = _response(line) or ("", 0, None)
            reply = reply_in(body) if status == 200 else None
            if digest in self._places and reply and not reply.error:
                self._answer(digest, reply)

    def take_new(self, file: Path, position: int) -> int:
        """Takes the lines from `position` on that are whole; returns where they end."""
        whole = [line for line in _lines(file, position) if line.endswith(b"\n")]
        self._take(whole)
        return position + sum(map(len, whole))

    def take_all(self, file: Path) -> None:
        """Takes all lines of a finished run, and shows how many are of no use."""
        for reason, number in self._take(_lines(file)).items():
            say(f"teacher    {plural(number, 'line')} of the output: {reason}")

    def finish(self) -> None:
        """The requests that still wait fail for good. Raises SteinerError if many fail in a row."""
        for digest in list(self._places):
            self._answer(digest, Reply(error=self._reasons.get(digest, _NO_LINE)))
        for place, reason in self._failed.items():
            if length_of_row(self._failed.keys(), place) >= FAILURES_IN_A_ROW:
                raise self._reader.all_fail(reason)

    def _take(self, lines: Iterable[bytes]) -> Counter[str]:
        """Takes the replies; counts the lines of no use by reason."""
        counts: Counter[str] = Counter()
        for line in lines:
            found = _response(line)
            if found is None:
                counts["no JSON, or no custom_id"] += bool(line.strip())
            elif found[0] not in self._known:
                counts["an unknown custom_id"] += 1
            elif found[0] in self._places:
                self._read(*found)
        return +counts

    def _read(self, digest: str, status: int | None, body: object) -> None:
        reader = self._reader
        outcome = reader.error_entry(body) if status is None else reader.reply(status, body)
        if isinstance(outcome, Reply):
            self._answer(digest, outcome)
        else:
            self._reasons[digest] = outcome

    def _answer(self, digest: str, reply: Reply) -> None:
        for place in self._places.pop(digest):
            if reply.error:
                self._failed[place] = reply.error
            self._on_reply(place, reply)


def _lines(file: Path, position: int = 0) -> Iterator[bytes]:
    """The lines from `position` on; none if there is no file."""
    if file.exists():
        with file.open("rb") as opened:
            opened.seek(position)
            yield from opened


def _response(line: bytes) -> tuple[str, int | None, object] | None:
    """The custom_id, status and body of a line; the status is None for an error in the place of a
    response. None if the line has no custom_id."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("custom_id"), str):
        return None
    response, error = entry.get("response"), entry.get("error")
    if not isinstance(response, dict) or not isinstance(response.get("status_code"), int):
        return entry["custom_id"], None, error
    body = response.get("body")
    return entry["custom_id"], response["status_code"], error if body is None else body
