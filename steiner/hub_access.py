"""Asks the Hugging Face Hub once, with a short timeout, whether it has a model or a data set.

owner/name, kind -> whether the Hub gives it, or an error at once

transformers and datasets ask an unreachable Hub five times within half a minute, and log each try.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steiner.types import UserError

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_TIMEOUT_S = 5.0
_ABSENT = (401, 404)
"""The Hub answers 401, not 404, to a name that does not exist, unless a token is given."""


@dataclass(frozen=True, slots=True)
class HubKind:
    """What to ask for, and the words for it."""

    noun: str
    place: str
    """What a user may name instead."""
    asked: str
    """The path that exists on the Hub if it has NAME."""
    page: str
    """The path of its page."""


MODEL = HubKind("model", "folder", "NAME/resolve/main/config.json", "NAME")
DATA_SET = HubKind("data set", "file", "api/datasets/NAME", "datasets/NAME")


def check_hub(name: str, kind: HubKind, is_cached: Callable[[], bool]) -> bool:
    """True if the Hub has `name`; False if it is out of reach, and the cache has it.

    Raises UserError otherwise.
    """
    from huggingface_hub import constants

    status = None if constants.HF_HUB_OFFLINE else _status_of(name, kind)
    if status is not None and status < 400:
        return True
    if status in _ABSENT:
        message = f"no {kind.place} {name}, and no such {kind.noun} on the Hugging Face Hub"
        hint = f"check the name; for a private or gated {kind.noun} set HF_TOKEN, or give a "
        raise UserError(message, hint + kind.place)
    if status == 403:
        page = f"{constants.ENDPOINT}/{kind.page.replace('NAME', name)}"
        hint = f"accept its terms at {page}, then set HF_TOKEN"
        raise UserError(f"the Hugging Face Hub gives no access to {name}", hint)
    if is_cached():
        return False
    reason = "no connection" if status is None else f"status {status}"
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else reason
    message = f"no {kind.place} {name}, and the Hugging Face Hub is out of reach: {reason}"
    raise UserError(message, f"give the path of a {kind.place}, or check the connection")


def check_data_set(name: str) -> None:
    """Raises UserError for a data set that neither the Hub nor the cache of datasets has."""
    from datasets import config

    cached = Path(config.HF_DATASETS_CACHE, name.replace("/", "___"))
    check_hub(name, DATA_SET, cached.is_dir)


def _status_of(name: str, kind: HubKind) -> int | None:
    """The HTTP status of the Hub's answer; None without a connection."""
    from huggingface_hub import constants, get_session, get_token

    url = f"{constants.ENDPOINT}/{kind.asked.replace('NAME', name)}"
    token = get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        response = get_session().head(url, headers=headers, timeout=_TIMEOUT_S)
    except Exception:  # the exceptions of the client depend on the version of huggingface_hub
        return None
    return int(response.status_code)
