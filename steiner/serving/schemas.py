"""Request bodies of the three endpoints.

JSON -> ChatRequest, ResponseRequest, TextRequest -> Messages

field_rules.py says which fields are honoured, accepted without effect or refused; the classes here
hold the honoured ones. Other fields of a message (a name, earlier reasoning, calls of tools) are
not shown to the model, which never saw such fields in training. contradictions.py compares the
fields with each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from steiner.serving.contradictions import check_contradictions
from steiner.serving.errors import InvalidRequest
from steiner.serving.field_rules import (
    CHAT_FIELDS,
    RESPONSE_FIELDS,
    TEXT_FIELDS,
    FieldRules,
    check_fields,
)
from steiner.types import Message

MAX_CHOICES = 32
MAX_TOP_LOGPROBS = 20


def _complete_characters(text: str) -> str:
    """Refuses half a character (a lone surrogate), which JSON can hold and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("half_a_character", "half a character in the text") from None
    return text


Text = Annotated[str, AfterValidator(_complete_characters)]

Count = Annotated[int, Field(ge=0, le=1_000_000)]
PositiveCount = Annotated[int, Field(ge=1, le=1_000_000)]
TopLogprobs = Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)]
StopText = Annotated[Text, Field(min_length=1, max_length=256)]
StopTexts = StopText | Annotated[list[StopText], Field(max_length=4)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class StrictModel(BaseModel):
    """Strict: a number in a string is an error, as in OpenAI's API.

    Unknown fields do not arrive here: field_rules.py refuses them, at any depth.
    """

    model_config = ConfigDict(strict=True, extra="ignore")


class TextPart(StrictModel):
    """A part of a message's content; only text can be read."""

    type: Literal["text", "input_text", "output_text"]
    text: Text


Content = Text | Annotated[list[TextPart], Field(min_length=1)]


def content_text(content: str | Sequence[TextPart] | None) -> str:
    """The text of a message's content; parts follow each other on separate lines."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content)


_TEMPLATE_ROLES = {"developer": "system", "tool": "user", "function": "user"}
"""Roles that chat templates lack -> the role that stands for them."""


class InputMessage(StrictModel):
    """One message of the dialogue. The result of a tool is shown as a message of the user."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = None

    def message(self) -> Message:
        """The message for the chat template."""
        if self.content is None and self.role != "assistant":
            raise InvalidRequest(f"a {self.role} message has no content", "messages")
        return Message(_TEMPLATE_ROLES.get(self.role, self.role), content_text(self.content))


class ChatTemplateOptions(StrictModel):
    """Options of chat templates that switch reasoning; two names are in use."""

    enable_thinking: bool | None = None
    thinking: bool | None = None


class CompletionRequest(StrictModel):
    """The fields that all endpoints share."""

    field_rules: ClassVar[FieldRules] = {}

    model: Text | None = None
    stream: bool | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    min_steps: Count | None = None
    max_steps: PositiveCount | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    thinking_token_budget: Count | None = None
    enable_thinking: bool | None = None
    chat_template_kwargs: ChatTemplateOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, body: Any) -> Any:
        """Raises InvalidRequest for a field that is unknown or refused."""
        if isinstance(body, Mapping):
            check_fields(body, cls.field_rules)
        return body

    @model_validator(mode="after")
    def _check_contradictions(self) -> Self:
        check_contradictions(self)
        return self

    @property
    def is_thinking_off(self) -> bool:
        """True if the client asked for an answer without thinking."""
        template = self.chat_template_kwargs or ChatTemplateOptions()
        switches = (self.enable_thinking, template.enable_thinking, template.thinking)
        return False in switches


class StreamOptions(StrictModel):
    """Options of a stream of chunks."""

    include_usage: bool | None = None


class ChatRequest(CompletionRequest):
    """POST /v1/chat/completions."""

    field_rules: ClassVar[FieldRules] = CHAT_FIELDS

    messages: Annotated[list[InputMessage], Field(min_length=1)]
    max_tokens: PositiveCount | None = None
    max_completion_tokens: PositiveCount | None = None
    reasoning_effort: Effort | None = None
    stop: StopTexts | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None

    @property
    def num_top_logprobs(self) -> int | None:
        """Alternatives per token; None if the client wants no log-probabilities."""
        if self.top_logprobs and not self.logprobs:
            raise InvalidRequest("top_logprobs needs 'logprobs': true", "top_logprobs")
        return self.top_logprobs or 0 if self.logprobs else None


class TextRequest(CompletionRequest):
    """POST /v1/completions."""

    field_rules: ClassVar[FieldRules] = TEXT_FIELDS

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_CHOICES)]
    max_tokens: PositiveCount | None = None
    reasoning_effort: Effort | None = None
    stop: StopTexts | None = None
    stream_options: StreamOptions | None = None
    logprobs: TopLogprobs | None = None

    @property
    def prompts(self) -> list[str]:
        """The prompts, of which there may be only one."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


def stop_texts(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """The texts at which the answer ends."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


class ReasoningOptions(StrictModel):
    """The amount of reasoning. Summaries are always sent; earlier reasoning is dropped."""

    effort: Effort | None = None


class InputMessageItem(InputMessage):
    """A message in the input of a response."""

    type: Literal["message"] = "message"


class ToolOutputItem(StrictModel):
    """The result of a tool in the input of a response; the model reads it as a user's message."""

    type: Literal["function_call_output"]
    output: Content

    def message(self) -> Message:
        """The message for the chat template."""
        return Message("user", content_text(self.output))


class SkippedItem(StrictModel):
    """Earlier reasoning or a tool call, sent back by the client; the model does not see it."""

    type: Literal["reasoning", "function_call"]


InputItem = InputMessageItem | ToolOutputItem | SkippedItem

Includable = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class ResponseStreamOptions(StrictModel):
    """The usage is always part of the last event."""


class ResponseRequest(CompletionRequest):
    """POST /v1/responses. The response repeats the last four fields."""

    field_rules: ClassVar[FieldRules] = RESPONSE_FIELDS

    input: Text | Annotated[list[InputItem], Field(min_length=1)]
    instructions: Text | None = None
    max_output_tokens: PositiveCount | None = None
    reasoning: ReasoningOptions | None = None
    text: dict[str, Any] | None = None
    include: list[Includable] | None = None
    top_logprobs: TopLogprobs | None = None
    stream_options: ResponseStreamOptions | None = None
    metadata: dict[Text, Text] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["auto", "none"] | None = None
    parallel_tool_calls: bool | None = None

    @property
    def effort(self) -> Effort | None:
        """The amount of reasoning."""
        return None if self.reasoning is None else self.reasoning.effort

    @property
    def num_top_logprobs(self) -> int | None:
        """Alternatives per token; None if the client wants no log-probabilities."""
        wanted = "message.output_text.logprobs" in (self.include or ())
        if self.top_logprobs and not wanted:
            need = "top_logprobs needs 'message.output_text.logprobs' in include"
            raise InvalidRequest(need, "top_logprobs")
        return self.top_logprobs or 0 if wanted else None

    def messages(self) -> list[Message]:
        """The dialogue; the instructions are its system prompt."""
        system = [Message("system", self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*system, Message("user", self.input)]
        items = [item for item in self.input if not isinstance(item, SkippedItem)]
        return system + [item.message() for item in items]
