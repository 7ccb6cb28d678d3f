"""Log-probabilities in the objects of the APIs."""

from __future__ import annotations

from itertools import pairwise

from steiner.serving.logprobs import TokenLogprob, text_logprobs


class _Text(str):
    """Counts how often its length is asked for."""

    num_asked = 0

    def __len__(self) -> int:
        type(self).num_asked += 1
        return super().__len__()


def _token(text: str) -> TokenLogprob:
    return TokenLogprob(token=text, logprob=-0.5, bytes=list(text.encode()), top_logprobs=[])


def test_offsets_are_where_tokens_begin() -> None:
    words = ["The", " sum", "", " is", " 21", "."]
    found = text_logprobs(list(map(_token, words)))
    text = "".join(words)
    assert [text[a:b] for a, b in pairwise([*found["text_offset"], len(text)])] == words
    assert text_logprobs([])["text_offset"] == []


def test_each_length_is_asked_for_once() -> None:
    """The event loop waits for this: it must not take the square of the answer's length."""
    tokens = [_token(_Text("word")) for _ in range(1000)]
    assert text_logprobs(tokens)["text_offset"] == list(range(0, 4000, 4))
    assert _Text.num_asked == 1000
