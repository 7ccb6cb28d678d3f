"""FSDP2: weights spread over two processes give the losses and gradients of one process.

accelerate shards only on accelerators, so the model is sharded here as it does it: every layer,
then the rest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from steiner.training.losses import forward_gives_losses
from steiner.training.optimizers import build_optimizer
from tests.processes import run_in_processes
from tests.small_model import small_qwen2

ROWS, TOKENS, VOCABULARY = 4, 20, 300


def test_two_shards_have_the_losses_of_one_process(tmp_path: Path) -> None:
    logs = []
    for count in (1, 2):
        run_in_processes(__file__, tmp_path / str(count), count)
        logs.append(json.loads((tmp_path / str(count)).read_text()))
    one, two = logs
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert two["norms"] == pytest.approx(one["norms"], rel=1e-5)
    assert one["losses"][0] != pytest.approx(one["losses"][-1], abs=0.05)
    assert two["held"] < 0.6 * one["held"]


def _train(out: Path) -> None:
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    model = small_qwen2(VOCABULARY)
    if size > 1:
        mesh = init_device_mesh("cpu", (size,))
        for layer in model.get_decoder().layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    optimizer = build_optimizer(model, muon_lr=0.0, adam_lr=1e-2)
    torch.manual_seed(1)
    ids_BT = torch.randint(0, VOCABULARY, (ROWS, TOKENS))
    mine = slice(rank * ROWS // size, (rank + 1) * ROWS // size)
    losses, norms = [], []
    for _ in range(4):
        with forward_gives_losses(model):
            found = model(input_ids=ids_BT[mine], loss_weights=torch.ones(ROWS, TOKENS)[mine])
        loss = found.total / len(found.loss_N)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total = loss.detach().clone()
        dist.all_reduce(total)
        losses.append(float(total) / size)
        norms.append(float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm))
    local = (w.to_local() if hasattr(w, "to_local") else w for w in model.parameters())
    if rank == 0:
        held = sum(weight.numel() for weight in local)
        out.write_text(json.dumps({"losses": losses, "norms": norms, "held": held}))
    dist.barrier()  # a process that just exits may abort the others
    dist.destroy_process_group()


if __name__ == "__main__":  # one process
    _train(Path(sys.argv[1]))
