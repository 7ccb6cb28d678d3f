"""Small talk and the tasks' subjects: greetings, definitions, everyday questions.

random stream -> FactGroups
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.data.ordinary_text.generators import Fact, FactGroup
from steiner.data.ordinary_text.words import ANIMALS, COLOURS, DESCRIPTIONS, NAMES, THINGS

_GREETINGS = (
    ("Hello", "Hello, how can I help?"),
    ("Hi", "Hi, what can I do for you?"),
    ("Good morning", "Good morning, what is your question?"),
    ("How are you?", "I am well, thank you. What shall we solve?"),
    ("Thank you", "You are welcome."),
    ("Thanks, that was right.", "Good. Is there anything else?"),
    ("What can you do?", "I solve small puzzles: numbers, knights, grids and jugs."),
    ("Who are you?", "I am a small model that solves puzzles step by step."),
    ("Goodbye", "Goodbye."),
    ("Can you help me?", "Yes. Tell me the puzzle."),
    ("Are you ready?", "Yes, I am ready."),
    ("Please wait.", "I will wait."),
)

_SUBJECTS = (
    ("What is a knight?", "A knight is a person who always speaks true."),
    ("What is a knave?", "A knave is a person who always lies."),
    ("What does a knave say?", "A knave says only what is false."),
    ("What does a knight say?", "A knight says only what is true."),
    ("Can a knight say that he is a knave?", "No, that would be false."),
    ("Can a knave say that he is a knave?", "No, that would be true."),
    ("When does one oppose another?", "When one is a knight and the other is a knave."),
    ("When does one match another?", "When both are knights or both are knaves."),
    ("When does one exclude another?", "When they are not both knights."),
    ("What is a clash?", "A clash is when what we suppose cannot be true."),
    ("What is it to suppose something?", "To take it as true and see what follows."),
    ("What is a jug?", "A jug holds water, and it can be filled, emptied or poured out."),
    ("How do you fill a jug?", "Let water in until it holds all that it can."),
    ("How do you empty a jug?", "Pour all of its water away, so that it holds 0."),
    ("When does pouring stop?", "When the one jug is empty or the other is full."),
    ("What is a liter?", "A liter is an amount of water."),
    ("What is a sudoku?", "A grid in which no row, column or box has a digit twice."),
    ("Which digits does a small sudoku have?", "1, 2, 3 and 4."),
    ("How many rows has a 4 by 4 grid?", "4 rows and 4 columns, and 4 boxes."),
    ("Where is box 1?", "Box 1 is the upper left square of 2 by 2 cells."),
    ("Where is box 4?", "Box 4 is the lower right square of 2 by 2 cells."),
    ("What is a row?", "A row is a line of cells from left to right."),
    ("What is a column?", "A column is a line of cells from top to bottom."),
    ("What is a gap?", "A gap is an empty cell, written _."),
    ("What is a target?", "The number that we want to reach."),
    ("What is a sum?", "A sum is what two numbers make when they are added."),
    ("What is a product?", "A product is what two numbers make when they are multiplied."),
    ("What is a quotient?", "What a number makes when it is divided by another."),
    ("What is a whole number?", "A number without a part left over, like 7."),
    ("How often may each number be used?", "Each number may be used once."),
    ("What is a move?", "A move changes what we have by one step."),
    ("What is a goal?", "The goal is where we want to arrive."),
    ("What is a limit?", "A limit is the most that is allowed."),
)


def chat(rng: random.Random) -> Iterator[FactGroup]:
    """Greetings, definitions and short stories with a question, mixed in each group."""
    while True:
        style = rng.random()
        if style < 0.25:
            yield FactGroup((rng.choice(_GREETINGS), *rng.sample(_SUBJECTS, rng.randint(1, 2))))
        elif style < 0.5:
            yield FactGroup(tuple(rng.sample(_SUBJECTS, rng.randint(2, 4))))
        else:
            yield FactGroup(tuple(_story(rng) for _ in range(rng.randint(2, 4))))


def _story(rng: random.Random) -> Fact:
    """One or two sentences and a question about them."""
    who, other = rng.sample(NAMES, 2)
    thing, colour, animal = rng.choice(THINGS), rng.choice(COLOURS), rng.choice(ANIMALS)
    kind, count = rng.choice(DESCRIPTIONS), rng.randint(2, 20)
    stories = (
        (f"{who} has a {colour} {thing}. What colour is the {thing}?", colour),
        (f"{who} gives {other} a {kind} {thing}. Who has the {thing} now?", other),
        (f"{who} gives {other} a {kind} {thing}. What does {who} give?", f"a {kind} {thing}"),
        (f"The {animal} sits by the {kind} {thing}. Where is the {animal}?", f"by the {thing}"),
        (
            f"{who} sees a {colour} {animal} and {other} sees a {thing}. Who sees the {thing}?",
            other,
        ),
        (f"{who} has {count} coins and finds 1 more. How many coins?", str(count + 1)),
        (f"{who} has {count} coins and loses 1. How many coins?", str(count - 1)),
        (f"Say hello to {who}.", f"Hello, {who}."),
        (f"My name is {who}. What is my name?", f"Your name is {who}."),
        (f"{who} is older than {other}. Who is younger?", other),
        (f"{who} comes before {other}. Who comes first?", who),
    )
    return rng.choice(stories)
