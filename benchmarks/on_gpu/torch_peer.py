# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The same train step by Hugging Face's model in PyTorch.

    python -m benchmarks.on_gpu.torch_peer --scale=card --workload=base-128

In bfloat16 (autocast) with PyTorch's fused attention and `torch.compile`, on
unpacked full rows, which it computes best. Prints JSON. It runs in a process of
its own, because PyTorch and JAX would share the card's memory.
"""

import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks import steps
from benchmarks.on_gpu.scale import SCALES, Workload
from bertjax.interop.architectures import PRETRAINING
from bertjax.interop.huggingface_config import config_to_huggingface
from bertjax.train import flops

_STEPS = 10


def define_flags() -> None:
  """Define the flags; not at import, since others read this module."""
  flags.DEFINE_enum("scale", "card", list(SCALES), "Sizes.")
  flags.DEFINE_string("workload", "", "Name of the workload.")
  flags.DEFINE_bool("compile", True, "Whether torch.compile is used.")


def measure(
  workload: Workload, rows: int, *, compiled: bool = True
) -> dict[str, Any]:
  """Return time and FLOP/s of a train step, rows without padding."""
  import torch
  import transformers

  device = "cuda" if torch.cuda.is_available() else "cpu"
  model: Any = transformers.BertForPreTraining(
    transformers.BertConfig(
      **config_to_huggingface(workload.model, PRETRAINING, 0)
    )
  )
  model.to(device)
  model.train()
  optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
  forward: Any = torch.compile(model) if compiled else model
  slots = steps.slots_for(workload.seq_length, 1)
  tensors = {
    name: torch.tensor(array, dtype=torch.long, device=device)
    for name, array in _inputs(workload, rows, slots).items()
  }

  def run() -> None:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device, dtype=torch.bfloat16):
      loss = forward(**tensors).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if device == "cuda":
      torch.cuda.synchronize()

  spent = []
  for turn in range(_STEPS + 3):
    begin = time.perf_counter()
    run()
    if turn >= 3:
      spent.append(time.perf_counter() - begin)
  seconds = statistics.median(spent)
  counts = flops.full_counts(rows, workload.seq_length)
  done = flops.train_flops(workload.model, counts, float(rows * slots))
  return {
    "rows": rows,
    "ms": 1e3 * seconds,
    "real_tokens_per_s": counts["tokens"] / seconds,
    "model_tflops": done / seconds / 1e12,
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "compiled": compiled,
  }


def _inputs(workload: Workload, rows: int, slots: int) -> dict[str, np.ndarray]:
  length = workload.seq_length
  batch = steps.make_batch(
    workload.model.vocab_size, length, steps.full_rows(rows, length)
  )
  order = np.argsort(np.random.default_rng(1).random((rows, length)))
  return {
    "input_ids": batch["tokens_BS"],
    "token_type_ids": batch["types_BS"],
    "attention_mask": batch["packs_BS"],
    "labels": np.where(order < slots, batch["tokens_BS"], -100),
    "next_sentence_label": batch["pair_label_BR"][:, 0],
  }


def main(_: Sequence[str]) -> None:
  """Measure the workload, with half as many rows where memory is short."""
  values = flags.FLAGS
  workload = next(
    each
    for each in SCALES[values.scale].workloads
    if each.name == values.workload
  )
  rows = workload.rows
  while True:
    try:
      found = measure(workload, rows, compiled=values.compile)
      break
    except RuntimeError as error:
      if "out of memory" not in str(error) or rows == 1:
        raise
      rows //= 2
  print(json.dumps(found), flush=True)


if __name__ == "__main__":
  define_flags()
  app.run(main)
