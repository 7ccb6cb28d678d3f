"""What clients send: the request bodies of both APIs, as far as this server reads them.

JSON -> ChatBody, ResponsesBody -> Messages and wishes

Fields that are not named here are ignored, as OpenAI ignores what a model does not have. A field
that is named and cannot be honoured (an image, an earlier response) is an error, not ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from steiner.serving.errors import InvalidRequest
from steiner.types import Message

MAX_CHOICES = 32


def _whole(text: str) -> str:
    """Refuses half a character (a lone surrogate), which JSON can hold and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("half_a_character", "half a character in the text") from None
    return text


Text = Annotated[str, AfterValidator(_whole)]

Count = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
StopText = Annotated[Text, Field(min_length=1, max_length=256)]
Effort = Literal["low", "medium", "high"]


class Body(BaseModel):
    """Strict: a number in a string is an error, as it is at OpenAI."""

    model_config = ConfigDict(strict=True, extra="ignore")


class TextPart(Body):
    """A part of a turn's content; only text can be read."""

    type: Literal["text", "input_text", "output_text"]
    text: Text


class Turn(Body):
    """One message of the dialogue. Whatever an assistant's turn carries beside its content, such
    as earlier reasoning, is ignored: the model never saw reasoning of earlier turns."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1)] | None = None

    def message(self) -> Message:
        """The turn as the chat template takes it."""
        if self.content is None and self.role != "assistant":
            raise InvalidRequest(f"a {self.role} message has no content", "messages")
        role = "system" if self.role == "developer" else self.role
        return Message(role, text_of(self.content))


def text_of(content: str | Sequence[TextPart] | None) -> str:
    """The text of a turn's content; parts follow each other on lines of their own."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content)


class CompletionBody(Body):
    """What both APIs share."""

    model: Text
    stream: bool | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    min_steps: Count | None = None
    max_steps: Positive | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None


class StreamOptions(Body):
    """What a stream of chunks has beside them."""

    include_usage: bool | None = None


class ChatBody(CompletionBody):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    reasoning_effort: Effort | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] | None = None
    stream_options: StreamOptions | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts at which the answer ends."""
        stop = self.stop or ()
        return (stop,) if isinstance(stop, str) else tuple(stop)


class Reasoning(Body):
    """How hard to think."""

    effort: Effort | None = None


class InputTurn(Turn):
    """A message of the input."""

    type: Literal["message"] = "message"


class InputReasoning(Body):
    """Reasoning of an earlier response, given back; it is ignored."""

    type: Literal["reasoning"]


class ResponsesBody(CompletionBody):
    """POST /v1/responses."""

    input: Text | Annotated[list[InputTurn | InputReasoning], Field(min_length=1)]
    instructions: Text | None = None
    max_output_tokens: Positive | None = None
    reasoning: Reasoning | None = None
    previous_response_id: None = None
    """Nothing is stored: the client sends the whole dialogue."""
    background: Literal[False] | None = None
    metadata: dict[Text, Text] | None = None

    @property
    def effort(self) -> Effort | None:
        """How hard to think."""
        return None if self.reasoning is None else self.reasoning.effort

    def messages(self) -> list[Message]:
        """The dialogue; the instructions are its system prompt."""
        system = [Message("system", self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*system, Message("user", self.input)]
        turns = [item for item in self.input if isinstance(item, InputTurn)]
        return system + [turn.message() for turn in turns]
