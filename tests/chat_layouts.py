"""Small tokenizers with the chat templates of widely used models."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TEXTS = [
    "You are a careful assistant.",
    "Make 24 from 3, 5, 7, 9. user assistant system model Instruction",
    "The answer is (9 - 5) * (7 - 3) = 24.\nThank you, and hello!",
]

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' "
    "+ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN = (
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] "
    "+ '<|im_end|>\n' }}{%- else %}{{- '<|im_start|>system\nYou are a careful assistant.<|im_end|>"
    "\n' }}{%- endif %}{%- for m in messages %}{%- if m.role == 'user' or m.role == 'assistant' %}"
    "{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
LLAMA3 = (
    "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + "
    "'<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not "
    "supported') }}{% endif %}{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}{{ '<start_of_turn>' "
    "+ role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}"
    "{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + "
    "m['content'] + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}"
)
UNCLOSED = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)


@dataclass(frozen=True)
class Layout:
    """A model family's template, its special tokens, and the token that closes a turn."""

    template: str
    special: tuple[str, ...]
    close: str
    eos: str
    pad: str | None = None
    takes_system: bool = True
    pieces: str = "bytes"


LAYOUTS = {
    "qwen": Layout(QWEN, ("<|im_start|>",), "<|im_end|>", "<|im_end|>", pad="<|endoftext|>"),
    "smollm": Layout(CHATML, ("<|im_start|>", "<|endoftext|>"), "<|im_end|>", "<|endoftext|>"),
    "llama3": Layout(
        LLAMA3,
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"),
        "<|eot_id|>",
        "<|end_of_text|>",
    ),
    "gemma": Layout(
        GEMMA,
        ("<bos>", "<start_of_turn>", "<eos>"),
        "<end_of_turn>",
        "<eos>",
        pad="<pad>",
        takes_system=False,
        pieces="words",
    ),
    "phi3": Layout(
        PHI3,
        ("<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>"),
        "<|end|>",
        "<|endoftext|>",
        pieces="words",
    ),
    "mistral": Layout(
        MISTRAL, ("<s>", "[INST]", "[/INST]"), "</s>", "</s>", takes_system=False, pieces="words"
    ),
    "unclosed": Layout(UNCLOSED, ("<s>",), "</s>", "</s>"),
}
"""Templates as the models have them, without their tool and date parts."""


def make_tokenizer(layout: Layout) -> PreTrainedTokenizerBase:
    """A small tokenizer of that layout: byte-level BPE, or words with a metaspace as SentencePiece
    has it."""
    extra = {layout.eos, layout.close} | ({layout.pad} if layout.pad else set())
    special = [*layout.special, *sorted(extra - set(layout.special))]
    tokenizer = Tokenizer(models.BPE(byte_fallback=layout.pieces == "words"))
    alphabet: list[str] = []
    if layout.pieces == "bytes":
        split = pre_tokenizers.Split(Regex(r"\s*\p{L}+|\p{N}|[^\s\p{L}\p{N}]+|\s+"), "isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        )
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 20, trainer)
    bos = next((token for token in layout.special if token in ("<s>", "<bos>")), None)
    if layout.template is LLAMA3:
        bos = "<|begin_of_text|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=layout.eos,
        pad_token=layout.pad,
        additional_special_tokens=[*layout.special, layout.close],
        chat_template=layout.template,
        clean_up_tokenization_spaces=False,
    )
