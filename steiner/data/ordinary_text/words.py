"""Everyday words that lists, lookups and chats are made of."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    "Ann Bob Cid Dan Eve Fay Gus Hal Ida Joe Kim Lee Max Mia Ned Ola Pam Ray Sam Tom Una Vic Zoe "
    "Anna Ben Carl Dora Emma Fred Grace Henry Iris Jack Kate Leo Mary Noah Olive Paul Rosa"
)
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
