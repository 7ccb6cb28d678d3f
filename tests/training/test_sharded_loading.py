"""A base whose weights will be sharded stays in main memory; all processes measure its perplexity.

accelerate's own preparation for FSDP2 runs here on a CPU, with the parts of an Accelerator that it
reads.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.data.packed_rows import PackedRows
from steiner.models.loading import load_model
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.models.saving import save_model
from steiner.processes import process_state
from steiner.recipe import CptRecipe
from steiner.training.cpt import ShardedPerplexity
from steiner.training.lora import load_for_training
from steiner.training.losses import perplexity
from tests.processes import run_in_processes
from tests.small_model import small_qwen2


def _rows() -> PackedRows:
    ids_NT = np.arange(5, 165, dtype=np.uint32).reshape(8, 20)
    return PackedRows(ids_NT, np.ones(ids_NT.shape, dtype=np.float32))


def test_shards_have_the_perplexity_of_the_whole_model(
    base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    save_model(small_qwen2(len(base_tokenizer)), base_tokenizer, tmp_path)
    run_in_processes(__file__, tmp_path, 2)

    model, tokenizer = load_model(tmp_path)
    add_reasoning_vocabulary(model, tokenizer)
    before = perplexity(model, _rows())
    with torch.no_grad():
        model.get_decoder().norm.weight.mul_(2)
    measured = json.loads((tmp_path / "logs" / "perplexity.json").read_text())
    assert measured["before"] == pytest.approx(before, rel=1e-4)
    assert measured["after"] == pytest.approx(perplexity(model, _rows()), rel=1e-4)
    assert measured["after"] != pytest.approx(measured["before"], rel=0.01)


def test_weights_to_be_sharded_stay_in_main_memory(
    base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that says it has an accelerator: without sharding, the model would go there."""
    save_model(small_qwen2(len(base_tokenizer)), base_tokenizer, tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    moved: list[object] = []
    monkeypatch.setattr(PreTrainedModel, "to", lambda model, to: moved.append(to) or model)
    load_for_training(tmp_path, CptRecipe())
    assert moved == ["cuda"]
    for variable in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"):
        with monkeypatch.context() as launched:
            launched.setenv(variable, "true")
            load_for_training(tmp_path, CptRecipe())
    assert moved == ["cuda"]


def _process(folder: Path) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    os.environ["ACCELERATE_USE_FSDP"] = "true"  # as accelerate launch sets them for fsdp2.yaml
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "true"
    process_state()
    model, tokenizer = load_for_training(folder, CptRecipe())
    add_reasoning_vocabulary(model, tokenizer)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        cpu_ram_efficient_loading=True,
        auto_wrap_policy="transformer_based_wrap",
    )
    plugin.set_auto_wrap_policy(model)
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        device=torch.device("cpu"),
        mixed_precision="no",
        is_main_process=dist.get_rank() == 0,
        torch_device_mesh=None,
    )
    sharded: Any = fsdp2_prepare_model(accelerator, model)
    callback = ShardedPerplexity(_rows(), folder / "logs" / "perplexity.json", bf16=False)
    callback.on_train_begin(model=sharded)
    sharded(torch.arange(20)[None]).logits.mean().backward()  # a training can follow
    with torch.no_grad():
        sharded.get_decoder().norm.weight.mul_(2)
    callback.on_train_begin(model=sharded)  # as of a resumed training: measured already
    callback.on_train_end(model=sharded)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":  # one process
    _process(Path(sys.argv[1]))
