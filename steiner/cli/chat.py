"""A dialogue in the terminal: the model sees earlier turns, and each answer shows its search.

lines typed -> text on stdout

    steiner chat --effort high

Ctrl-C stops the answer and keeps the chat; Ctrl-D ends it.
"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from steiner.cli.interrupts import noticed_interrupts
from steiner.cli.question_input import require_text
from steiner.cli.style import Style
from steiner.types import Message, SteinerError, UserError

if TYPE_CHECKING:
    from steiner.inference.questions import SolveOptions
    from steiner.inference.reasoner import Reasoner

HELP = """\
/help    show this help
/reset   start a new dialogue
/exit    end the chat, as Ctrl-D does
Ctrl-C   stop the answer; the dialogue forgets its question"""

_EXIT = ("/exit", "/quit", "exit", "quit")


def chat(reasoner: Reasoner, options: SolveOptions, *, title: str) -> None:
    """Reads questions and answers them until the input ends; `title` is shown first."""
    style = Style.of(sys.stdout)
    print(style.paint(f"{title}{style.dot}/help lists the commands", "dim"))
    Chat(reasoner, options).run()


class Chat:
    """A dialogue: the questions and answers of earlier turns."""

    def __init__(self, reasoner: Reasoner, options: SolveOptions) -> None:
        self._reasoner, self._options = reasoner, options
        self._style = Style.of(sys.stdout)
        self._messages: list[Message] = []

    def run(self) -> None:
        """Reads and answers until the input ends. Raises UserError for input that is not text."""
        while (line := self._read()) is not None:
            self._style = Style.of(sys.stdout)  # the terminal may have another width by now
            if line in _EXIT:
                return
            if line.startswith("/"):
                self._run_command(line)
            elif line:
                self._answer(line)

    def _read(self) -> str | None:
        """The next line; "" if there is nothing to do, None at the end of the input."""
        try:
            line = input(self._prompt()).strip()
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print("\n" + self._style.paint("Ctrl-D ends the chat", "dim"))
            return ""
        except UnicodeDecodeError:
            hint = "give lines of text in UTF-8"
            raise UserError("standard input is not UTF-8 text", hint) from None
        require_text(line, "standard input")
        return line

    def _prompt(self) -> str:
        """The prompt; empty if the input is not a terminal."""
        if not sys.stdin.isatty():
            return ""
        import readline  # noqa: F401 - importing it gives input() line editing and a history

        return "\n> "

    def _run_command(self, line: str) -> None:
        if line == "/reset":
            self._messages.clear()
            print(self._style.paint("a new dialogue", "dim"))
        elif line == "/help":
            print(HELP)
        else:
            print(f"unknown command {line.split()[0]}\n{HELP}")

    def _answer(self, question: str) -> None:
        """Answers the next turn; a turn without a finished answer is left out of the dialogue."""
        from steiner.cli.step_display import StepDisplay
        from steiner.inference.answer import Finished

        turn = Message("user", question)
        display = StepDisplay(sys.stdout, self._style, samples=self._options.get("samples", 1))
        try:
            events = self._reasoner.stream([*self._messages, turn], **self._options)
            with closing(events), noticed_interrupts() as interrupted:
                for event in events:
                    if interrupted():
                        display.interrupt()
                        break
                    display.show(event)
                    if isinstance(event, Finished):
                        self._messages += [turn, Message("assistant", event.answer.text)]
        except SteinerError as error:
            print(f"{self._style.paint('error:', 'red')} {error}\nhint: {error.hint}")
