"""The command that publishes a model.

steiner export runs/tiny/rl --out published/tiny --gguf bf16
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steiner.cli.parser import Commands, Parser, add_command
from steiner.progress import shown_size
from steiner.types import UserError


def add_command_to(commands: Commands[Parser]) -> None:
    """Adds `export`."""
    export = add_command(
        commands,
        "export",
        _export,
        summary="a folder for the Hugging Face Hub, with a card and a GGUF file",
        example="steiner export runs/tiny/rl --out published/tiny --gguf bf16",
    )
    export.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained model")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new folder")
    export.add_argument(
        "--gguf",
        nargs="?",
        const="bf16",
        default="",
        metavar="TYPE",
        help="also write a GGUF file for llama.cpp: bf16 (default), f16, f32 or q8_0",
    )
    export.add_argument(
        "--adapter", action="store_true", help="the LoRA adapter alone, without its base"
    )
    export.add_argument(
        "--base",
        default="",
        metavar="OWNER/NAME",
        help="with --adapter: where others find its base",
    )
    export.add_argument("--license", default="", metavar="NAME", help="for the card: mit, ...")
    export.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to the Hub")
    export.add_argument("--force", action="store_true", help="replace an earlier export")


def _export(options: argparse.Namespace) -> None:
    if options.adapter and options.gguf:
        hint = "leave out one of the two; each can have a folder of its own"
        raise UserError("--gguf writes the whole model, --adapter only the adapter", hint)
    if options.base and not options.adapter:
        raise UserError("--base is for an adapter", "add --adapter, or leave out --base")
    from steiner.pipeline import export

    common = {"license": options.license, "force": options.force}
    if options.adapter:
        export.export_adapter(options.model, options.out, base=options.base, **common)
    else:
        export.export(options.model, options.out, gguf=options.gguf, **common)
    print(_listing(options.out))
    if options.push:
        print(export.push(options.out, options.push))


def _listing(folder: Path) -> str:
    """The folder, and the size of each of its files."""
    from steiner.files import file_sizes

    sizes = file_sizes(folder)
    width = max(map(len, sizes))
    lines = [f"  {name:<{width}}  {shown_size(size):>9}" for name, size in sizes.items()]
    return "\n".join([str(folder), *lines])
