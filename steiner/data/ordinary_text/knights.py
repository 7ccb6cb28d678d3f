"""Knights and knaves, one claim at a time: its meaning, its truth, and its speaker.

random stream -> FactGroups
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from steiner.data.ordinary_text.generators import Fact, FactGroup, Weights, drills, join
from steiner.tasks import load_phrases
from steiner.tasks.knights_knaves import LETTERS
from steiner.tasks.knights_knaves_logic import ALONE, KINDS, UNKNOWN
from steiner.tasks.knights_knaves_steps import render_state, restate_claim

_FAMILY = "knights_knaves"

_KINDS = (*KINDS, "knight", "knave", "same", "differ", "same", "differ", "either_knight")
_OPPOSITE = {
    "knight": "knave",
    "same": "differ",
    "either_knight": "both_knaves",
    "either_knave": "both_knights",
    "if": "only",
}
_OPPOSITES = _OPPOSITE | {opposite: kind for kind, opposite in _OPPOSITE.items()}


def facts(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about single claims and lists of roles."""
    makers: Weights = {
        _truth: 2,
        _speaker: 2,
        _simple: 1.5,
        _follows: 3,
        _false_means: 1,
        _clash: 3,
    }
    return drills(rng, makers | {_unknown: 1, _decide: 2})


def _claim(kind: str, speaker: str, first: str, second: str) -> str:
    phrases = load_phrases(_FAMILY)
    return phrases.render(f"says_{kind}", speaker=speaker, first=first, second=second)


def _is_true(kind: str, first: bool, second: bool) -> bool:
    """Truth of a claim, given which of the persons in it are knights."""
    return bool(KINDS[kind][1](int(first), int(second)) & 1)


def _role(knight: bool) -> str:
    return "knight" if knight else "knave"


def render_roles(roles: Sequence[tuple[str, bool]]) -> str:
    """`Ann knight, Cid knave`."""
    return ", ".join(f"{name} {_role(knight)}" for name, knight in roles)


def _coins(rng: random.Random, count: int) -> list[bool]:
    return [rng.random() < 0.5 for _ in range(count)]


def _scene(rng: random.Random) -> tuple[str, str, list[tuple[str, bool]], bool]:
    """A speaker, a claim, the roles of the persons in it, and its truth."""
    speaker, first, second = rng.sample(LETTERS, 3)
    kind, (a, b) = rng.choice(_KINDS), _coins(rng, 2)
    roles = [(first, a)] if kind in ALONE else [(first, a), (second, b)]
    return speaker, _claim(kind, speaker, first, second), roles, _is_true(kind, a, b)


def _stated(kind: str, names: Sequence[str], state: Sequence[int]) -> str:
    """A step's words for the claim of the first of three persons, with the known roles."""
    persons = (1,) if kind in ALONE else (1, 2)
    spec = {"names": names, "says": [(kind, *persons)]}
    return restate_claim(spec, load_phrases(_FAMILY), tuple(state), 0)


def _truth(rng: random.Random) -> Fact:
    if rng.random() < 0.5:
        kind, coins = rng.choice(_KINDS), _coins(rng, 2)
        stated = _stated(kind, rng.sample(LETTERS, 3), (UNKNOWN, *map(int, coins))).split(": ")[1]
        return f"{stated},", "true" if _is_true(kind, *coins) else "false"
    _, said, roles, true = _scene(rng)
    return f"{render_roles(roles)}. {said} Is that true?", "True" if true else "False"


def _speaker(rng: random.Random) -> Fact:
    speaker, said, roles, true = _scene(rng)
    why = "true" if true else "false"
    return f"{render_roles(roles)}. {said} That is {why}, so {speaker} is", f"a {_role(true)}"


def _simple(rng: random.Random) -> Fact:
    speaker, first = rng.sample(LETTERS, 2)
    role, said = _coins(rng, 2)
    prompt = rng.choice(
        ("{} is a {} and says {} is a {}, so", "{}, a {}, says {} is a {}. Then")
    ).format(speaker, _role(role), first, _role(said))
    return prompt, f"{first} is a {_role(said == role)}"


def _follows(rng: random.Random) -> Fact:
    """A claim and two roles that decide the third person's role or leave it open."""
    speaker, first, second = rng.sample(LETTERS, 3)
    kind = rng.choice([kind for kind in _KINDS if kind not in ALONE])
    role, known = _coins(rng, 2)
    fitting = [other for other in (True, False) if _is_true(kind, known, other) == role]
    stated = _stated(kind, (speaker, first, second), (int(role), int(known), UNKNOWN))
    prompt = f"{stated}, {'true' if role else 'false'}, so"
    if len(fitting) == 1:
        return prompt, f"{second} is a {_role(fitting[0])}"
    return prompt, f"{second} can be either" if fitting else "there is a clash"


def _false_means(rng: random.Random) -> Fact:
    speaker, first, second = rng.sample(LETTERS, 3)
    kind = rng.choice(list(_OPPOSITES))
    means = _claim(_OPPOSITES[kind], "", first, second).split("says ", 1)[1].rstrip(".")
    return f"{speaker} is a knave. {_claim(kind, speaker, first, second)} So", means


def _clash(rng: random.Random) -> Fact:
    """The task's words for a verification of one claim whose persons are all known."""
    (speaker, first, second), kind = rng.sample(LETTERS, 3), rng.choice(_KINDS)
    role, *coins = _coins(rng, 3)
    others = list(zip((first, second), coins, strict=True))
    known = [(speaker, role), *others[: 1 if kind in ALONE else 2]]
    phrases, true = load_phrases(_FAMILY), _is_true(kind, *coins)
    said = _claim(kind, speaker, first, second)
    stated = _stated(kind, (speaker, first, second), (int(role), *map(int, coins)))
    claims = phrases.render("claim", claim=stated, truth="true" if true else "false")
    rng.shuffle(known)
    prompt = f"{said} Now {render_roles(known)}."
    return prompt, phrases.render("goal" if role == true else "dead", claims=claims)


def _people(rng: random.Random) -> tuple[list[str], list[tuple[str, bool]]]:
    """Names, and the roles of some of them in the same order."""
    names = rng.sample(LETTERS, rng.randint(3, 6))
    known = set(rng.sample(names, rng.randint(1, len(names) - 1)))
    return names, [(name, rng.random() < 0.5) for name in names if name in known]


def _unknown(rng: random.Random) -> Fact:
    names, roles = _people(rng)
    missing = [name for name in names if name not in dict(roles)]
    prompt = f"Of {join(names, ', ')}, now {render_roles(roles)}."
    if rng.random() < 0.5:
        return prompt, f"{len(missing)} unknown"
    return f"{prompt} Not known:", join(missing, ", ")


def _decide(rng: random.Random) -> Fact:
    """One more role in a list of roles."""
    names, roles = _people(rng)
    new = rng.choice([name for name in names if name not in dict(roles)])
    knight = rng.random() < 0.5
    phrases, spec = load_phrases(_FAMILY), {"names": names}

    def state(known: Mapping[str, bool]) -> str:
        return render_state(spec, phrases, tuple(int(known.get(name, UNKNOWN)) for name in names))

    prompt = f"So far {state(dict(roles))}. {new} is a {_role(knight)}."
    return prompt, phrases.render("summary", state=state(dict(roles) | {new: knight}))
