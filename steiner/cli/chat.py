"""A dialogue on the terminal: earlier turns stay, each answer shows its search.

lines typed -> text on stdout

    steiner chat --effort high

Ctrl-C stops the answer and keeps the chat; Ctrl-D ends it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from steiner.cli.solve_options import Ask, load
from steiner.cli.style import Style
from steiner.types import Message, SteinerError

if TYPE_CHECKING:
    from steiner.inference.reasoner import Reasoner

HELP = """\
/help    this
/reset   begin a new dialogue
Ctrl-C   stop the answer; what was asked is forgotten
Ctrl-D   end the chat"""


def chat(ask: Ask, *, model: str, language: str) -> None:
    """Asks for questions and answers them until there are no more."""
    reasoner = load(model, language, sys.stderr)
    style = Style.of(sys.stdout)
    print(style.paint(f"{model}{style.dot}/help says what can be typed", "dim"))
    Chat(reasoner, ask, style).run()


class Chat:
    """A dialogue: what was asked and answered so far."""

    def __init__(self, reasoner: Reasoner, ask: Ask, style: Style) -> None:
        self._reasoner, self._ask, self._style = reasoner, ask, style
        self._messages: list[Message] = []

    def run(self) -> None:
        """Reads and answers until the input ends."""
        while (line := self._read()) is not None:
            if line.startswith("/"):
                self._obey(line)
            elif line:
                self._answer(line)

    def _read(self) -> str | None:
        """The next line, "" where there is nothing to do, None at the end of the input."""
        try:
            return input(self._prompt()).strip()
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print("\n" + self._style.paint("Ctrl-D ends the chat", "dim"))
            return ""

    def _prompt(self) -> str:
        """The prompt, where somebody types; with it comes editing and a history."""
        if not sys.stdin.isatty():
            return ""
        import readline  # noqa: F401 - its import is what makes input() edit lines

        return "\n> "

    def _obey(self, line: str) -> None:
        if line == "/reset":
            self._messages.clear()
            print(self._style.paint("a new dialogue", "dim"))
        elif line == "/help":
            print(HELP)
        else:
            print(f"unknown command {line.split()[0]}\n{HELP}")

    def _answer(self, question: str) -> None:
        """Answers within the dialogue; a question that could not be answered leaves no trace."""
        from steiner.cli.step_display import Display
        from steiner.inference.answer import Finished

        turn = Message("user", question)
        display = Display(sys.stdout, self._style, samples=self._ask.samples)
        try:
            events = self._ask.stream(self._reasoner, [*self._messages, turn])
            with closing(events), _noticing_interrupts() as interrupted:
                for event in events:
                    if interrupted():
                        display.interrupt()
                        break
                    display.show(event)
                    if isinstance(event, Finished):
                        self._messages += [turn, Message("assistant", event.answer.text)]
        except SteinerError as error:
            print(f"{self._style.paint('error:', 'red')} {error}\nhint: {error.hint}")


@contextmanager
def _noticing_interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, to be asked between two tokens: a KeyboardInterrupt raised in the
    middle of one can be lost in foreign code, and the answer would go on."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
