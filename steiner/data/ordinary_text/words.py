"""Everyday words that lists, lookups and chats are made of."""

from steiner.tasks.names import known_names


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = known_names(held_out=False)
COLOURS = _words("red blue green yellow black white brown grey pink orange purple gold")
ANIMALS = _words("cat dog horse cow sheep goat hen duck bird fish mouse fox wolf bear owl")
THINGS = _words(
    "apple bread milk water stone book lamp chair table door key coin cup bowl spoon hat coat shoe "
    "box bag rope ring bell boat cart wheel clock letter paper pencil garden house tree leaf river "
    "road bridge hill field star moon sun cloud rain snow wind fire salt sugar"
)
DESCRIPTIONS = _words("old new big small long short heavy light round cold warm clean")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
JUGS = ("A", "B", "C", "D")
