"""Reads recipes from TOML and writes them back.

name or file, "key=value" overrides -> Recipe;  Recipe -> TOML

A file that begins with `like = "NAME"` starts from that recipe and names only what differs from it.
Nothing unknown or ill-typed gets through: the error names the key, and the nearest right one.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from steiner.files import reason_and_hint
from steiner.recipe import ProblemsRecipe, Recipe
from steiner.types import UserError

SHIPPED = Path(__file__).parent / "recipes"
"""The recipes that come with the package, one TOML file each."""


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of that name or file, with each "section.key=value" set on top.

    A value is written as in TOML; text needs no quotes. Raises UserError.
    """
    path = _find(name_or_path)
    table = _read_table(path)
    for override in overrides:
        _override(table, override)
    table.setdefault("name", path.stem)
    recipe: Recipe = _record(Recipe, table, "", path.name)
    return _with_own_task(recipe)


def _read_table(path: Path, above: Sequence[Path] = ()) -> dict[str, Any]:
    """The file's table on top of that of the recipe it is like; `above` are files like this one.

    A section keeps the keys that the file does not name; a table in it, such as problems.levels, is
    replaced as a whole.
    """
    table = _read_toml(path)
    like = table.pop("like", None)
    if like is None:
        return table
    if not isinstance(like, str):
        raise UserError(
            f"'like' in recipe {path.name} must be text, not {_shown(like)}",
            'for example: like = "tiny"',
        )
    base = _find(like)
    chain = (*above, path)
    if base.resolve() in [file.resolve() for file in chain]:
        names = " is like ".join(file.name for file in (*chain, base))
        raise UserError(f"recipes start from each other: {names}", "remove one of the `like` keys")
    found = _read_table(base, chain)
    _record(Recipe, {"name": "", **found}, "", base.name)  # an error names the right file
    found.pop("name", None)
    for name, value in table.items():
        is_section = isinstance(value, dict) and isinstance(found.get(name), dict)
        found[name] = {**found[name], **value} if is_section else value
    return found


def _with_own_task(recipe: Recipe) -> Recipe:
    """The recipe with its own questions among its tasks."""
    name, levels = recipe.questions.name, recipe.problems.levels
    if not (recipe.questions.source or recipe.questions.test) or name in levels:
        return recipe
    return replace(recipe, problems=ProblemsRecipe({**levels, name: 1}, recipe.problems.files))


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def recipe_toml(recipe: Recipe) -> str:
    """The whole recipe, defaults included, as TOML that `load_recipe` reads back."""
    return "\n".join(_toml_lines(asdict(recipe), "")) + "\n"


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml" or len(path.parts) > 1:
        return path
    shipped = SHIPPED / f"{name_or_path}.toml"
    if not shipped.exists():
        known = shipped_recipes()
        other = f"one of: {', '.join(known)}, or a .toml file"
        raise UserError(f"unknown recipe '{name_or_path}'", _nearest(name_or_path, known) or other)
    return shipped


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason, hint = reason_and_hint(error)
        raise UserError(f"cannot read recipe {path}: {reason}", hint) from error
    except ValueError as error:
        raise UserError(
            f"recipe {path} is not TOML: {error}", "correct it there; a recipe is TOML in UTF-8"
        ) from error


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not (key and equals):
        raise UserError(f"cannot read --set '{override}'", "write it as --set rl.steps=10")
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            message = f"'{section}' in --set '{override}' is a value, not a table"
            raise UserError(message, "a key has the form section.key, such as rl.steps")
    table[last] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _record(kind: Any, table: Any, prefix: str, source: str) -> Any:
    """The dataclass `kind` from a TOML table; `prefix` is the table's key and a dot."""
    if not isinstance(table, dict):
        section = prefix[:-1]
        hint = f"set one of its keys, such as {prefix}{fields(kind)[0].name}"
        raise UserError(f"'{section}' in recipe {source} must be a table", hint)
    hints = get_type_hints(kind)
    specs = {spec.name: spec for spec in fields(kind)}
    for name in table:
        if name not in specs:
            raise _unknown_key(_first_leaf(prefix + name, table[name]), source)
    return kind(
        **{
            name: _value(specs[name], hints[name], value, prefix + name, source)
            for name, value in table.items()
        }
    )


def _value(spec: Field[Any], hint: Any, value: Any, key: str, source: str) -> Any:
    if is_dataclass(hint):
        return _record(hint, value, f"{key}.", source)
    converted = _converted(hint, value)
    if converted is None:
        expected = f"'{key}' in recipe {source} must be {_description(hint)}"
        raise UserError(f"{expected}, not {_shown(value)}", _example(spec, hint, key))
    at_most = spec.metadata.get("at_most", math.inf)
    at_least = 1 if hint is int and not spec.metadata.get("may_be_zero") else 0
    is_free = Any in get_args(hint)
    if not is_free and not all(at_least <= n <= at_most for n in _numbers(converted)):
        bounds = f"{at_least} or more" if math.isinf(at_most) else f"from 0 to {at_most}"
        message = f"'{key}' in recipe {source} must be {bounds}, not {_shown(value)}"
        raise UserError(message, _example(spec, hint, key))
    return converted


def _converted(hint: Any, value: Any) -> Any:
    """`value` as the type `hint`; None where it is none."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value if _is_json(value) else None
    if origin is Literal:
        return value if value in arguments else None
    if origin is tuple and isinstance(value, list):
        items = [_converted(arguments[0], item) for item in value]
        return None if None in items else tuple(items)
    if origin is Mapping and isinstance(value, dict):
        table = {name: _converted(arguments[1], item) for name, item in value.items()}
        return None if None in table.values() else table
    if hint is float and type(value) is int:
        return float(value)
    if hint is float and type(value) is float:
        return value if math.isfinite(value) else None
    return value if type(value) is hint else None


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _description(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(_shown, arguments))
    if origin is tuple:
        return f"a list, each {_description(arguments[0])}"
    if origin is Mapping:
        return f"a table, each value {_description(arguments[1])}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    names[Any] = "a value of JSON"
    return names[hint]


_EXAMPLES = {int: "1", float: "0.5", str: '"text"', Any: "1"}
"""Type -> a value of it, as TOML."""


def _example(spec: Field[Any], hint: Any, key: str) -> str:
    """A hint with a value that the key can have: its default, where that shows the form."""
    arguments = get_args(hint)
    if get_origin(hint) is Mapping:
        value = f"{{ NAME = {_EXAMPLES[arguments[1]]} }}"
    elif get_origin(hint) is tuple:
        value = f"[{_EXAMPLES[arguments[0]]}]"
    else:
        value = _shown(spec.default) if spec.default not in ("", MISSING) else _EXAMPLES[hint]
    return f"for example: {key} = {value}"


def _numbers(value: Any) -> list[float]:
    items = value.values() if isinstance(value, Mapping) else value
    items = items if isinstance(value, tuple | Mapping) else (value,)
    return [item for item in items if isinstance(item, int | float)]


def _unknown_key(key: str, source: str) -> UserError:
    known = list(_keys(Recipe, ""))
    section = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == section]
    hint = _nearest(key, known) or f"keys there: {', '.join(siblings or known)}"
    return UserError(f"unknown key '{key}' in recipe {source}", hint)


def _first_leaf(key: str, value: Any) -> str:
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        key = f"{key}.{name}"
    return key


def _keys(kind: Any, prefix: str) -> Iterator[str]:
    """Every key of a recipe, dotted."""
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            yield from _keys(hint, f"{prefix}{name}.")
        else:
            yield prefix + name


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean '{near[0]}'?" if near else ""


def _toml_lines(table: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{_key(name)} = {_shown(value)}"
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield f"\n[{prefix}{name}]"
            yield from _toml_lines(value, f"{prefix}{name}.")


def _key(name: str) -> str:
    """A key as TOML, in quotes unless it is a bare one."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _shown(name)


def _shown(value: Any) -> str:
    """A value as TOML; numbers, text and lists are written as in JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)
