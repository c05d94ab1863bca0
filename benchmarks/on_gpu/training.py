# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Train steps: model FLOP/s of real tokens, memory, learning, inference."""

import contextlib
import dataclasses
import gc
import time
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np

from benchmarks import steps
from benchmarks.on_gpu import queries_first
from benchmarks.on_gpu.scale import Scale, Workload
from benchmarks.on_gpu.timing import (
  first_line,
  median_seconds,
  median_step_seconds,
)
from bertjax.batch import Batch
from bertjax.config import (
  ComputeConfig,
  ModelConfig,
  ObjectiveConfig,
  OptimizerConfig,
)
from bertjax.model import BertForPreTraining
from bertjax.model import attention as model_attention
from bertjax.parallel import feeding
from bertjax.train import flops
from bertjax.train.memory import find_needed, planned_bytes
from bertjax.train.peaks import peak_flops
from bertjax.train.step import StepOptions


class Variant(NamedTuple):
  """How a workload's step is computed.

  Attributes:
    name: what the results call it.
    compute: kernel, dtype, recomputation, and what draws dropout's bits.
    dropout: "all" as published, "hidden" without that of attention weights,
      "none".
    optimizer: turns gradients into updates.
    queries_first: whether the plain path of attention has its pairs in the
      other order; see `queries_first`.
  """

  name: str
  compute: ComputeConfig
  dropout: str = "all"
  optimizer: OptimizerConfig = OptimizerConfig()
  queries_first: bool = False


_XLA = ComputeConfig(dtype="bfloat16", attention="xla", dropout_rng="rbg")
_CUDNN = dataclasses.replace(_XLA, attention="cudnn")
# What BERT asks for.
PUBLISHED = Variant("as published, rbg", _XLA)
# What a kernel can do, and the plain path without what the kernel lacks.
CUDNN = Variant("cudnn, no attention dropout", _CUDNN, "hidden")
XLA = Variant("xla, no attention dropout", _XLA, "hidden")
# As published, and without an array of all pairs.
FLASH = Variant(
  "flash, attention dropout", dataclasses.replace(_XLA, attention="flash")
)
QUERIES_FIRST = Variant("queries × keys", _XLA, queries_first=True)
# What each choice costs.
COSTS = (
  Variant("cudnn, no dropout", _CUDNN, "none"),
  Variant("xla, no dropout", _XLA, "none"),
  Variant(
    "as published, threefry",
    dataclasses.replace(_XLA, dropout_rng="threefry"),
  ),
  Variant("remat of attention", dataclasses.replace(_XLA, remat="attention")),
  Variant("remat of dots", dataclasses.replace(_XLA, remat="dots")),
  Variant("remat of all", dataclasses.replace(_XLA, remat="full")),
  Variant("lamb", _XLA, optimizer=OptimizerConfig(name="lamb")),
  Variant("muon", _XLA, optimizer=OptimizerConfig(name="muon")),
  Variant("float32", dataclasses.replace(_XLA, dtype="float32")),
)


def measure_step(
  workload: Workload, variant: Variant, rows: int, budget: float
) -> dict[str, Any]:
  """Return time, FLOP/s and memory of a train step on packed rows.

  MFU counts the FLOPs of real tokens inside their own examples, of which these
  rows have no others. An error is returned as its first line.
  """
  # What the step before held is freed first.
  gc.collect()
  try:
    return _measure(workload, variant, rows, budget)
  except Exception as error:  # out of memory, or a kernel's compiler
    if find_needed(str(error)) is not None:
      return {"rows": rows, "error": "out of memory"}
    return {"rows": rows, "error": first_line(error)}


def find_batches(workload: Workload, scale: Scale) -> list[dict[str, Any]]:
  """Return steps of twice as many rows each, up to the memory's edge."""
  found: list[dict[str, Any]] = []
  rows = workload.rows
  while rows <= scale.largest:
    found.append(measure_step(workload, PUBLISHED, rows, scale.budget))
    if "error" in found[-1]:
      break
    rows *= 2
  return found


def check_learning(workload: Workload, scale: Scale) -> dict[str, Any]:
  """Train on text that can be learned; return its losses.

  A row repeats one token, so that a masked one is known from any other.
  """
  model = steps.without_dropout(workload.model)
  slots = steps.slots_for(workload.seq_length, 1)
  compute = ComputeConfig(dtype="bfloat16")
  task = steps.make_task(model, compute, _objective(model), slots)
  state, step, mesh = steps.make_train_step(
    model,
    task,
    workload.seq_length,
    OptimizerConfig(learning_rate=scale.learning_rate, warmup_steps=20),
  )
  losses = []
  for number in range(scale.learning_steps):
    batch = _repeating_rows(workload, number)
    state, metrics = step(state, feeding.put_batch(batch, mesh))
    losses.append(metrics["mlm_loss"])
  sums_N2 = np.asarray(jax.device_get(losses), np.float64)
  loss_N = sums_N2[:, 0] / sums_N2[:, 1]
  part = max(1, len(loss_N) // 10)
  uniform = float(np.log(workload.model.vocab_size - steps.SPECIALS))
  last = float(loss_N[-part:].mean())
  return {
    "steps": scale.learning_steps,
    "mlm_loss_first": float(loss_N[:part].mean()),
    "mlm_loss_last": last,
    "entropy_of_the_text": uniform,
    "learns": last < uniform - 0.5,
  }


def measure_inference(workload: Workload, budget: float) -> dict[str, Any]:
  """Return rows and tokens a second of the encoder, by dtype and kernel."""
  found: dict[str, Any] = {}
  batch = _rows(workload, workload.rows)
  tokens = int((batch["packs_BS"] > 0).sum())
  exact = dataclasses.replace(_XLA, dtype="float32")
  for compute in (_XLA, _CUDNN, exact):
    name = f"{compute.attention}, {compute.dtype}"
    model = BertForPreTraining(workload.model, compute)
    features = jax.device_put(batch)
    init = BertForPreTraining(workload.model)
    try:
      params = jax.jit(
        lambda key, init=init, features=features: init.init(
          key, features, features["starts_BR"], deterministic=True
        )["params"]
      )(jax.random.key(0))
      encode = jax.jit(
        lambda params, features, model=model: model.apply(
          {"params": params}, features, method="encode", deterministic=True
        )
      )
      seconds = median_seconds(
        lambda e=encode, p=params, f=features: e(p, f), budget
      )
    except Exception as error:  # a kernel that this platform does not have
      found[name] = {"error": first_line(error)}
      continue
    found[name] = {
      "rows_per_s": workload.rows / seconds,
      "tokens_per_s": tokens / seconds,
    }
  return found


def _measure(
  workload: Workload, variant: Variant, rows: int, budget: float
) -> dict[str, Any]:
  peak_before = _peak()
  model = workload.model
  if variant.dropout != "all":
    model = steps.without_dropout(model, hidden=variant.dropout == "none")
  batch = _rows(workload, rows)
  packs = batch["starts_BR"].shape[1]
  slots = steps.slots_for(workload.seq_length, packs)
  task = steps.make_task(model, variant.compute, _objective(model), slots)
  state, step, mesh = steps.make_train_step(
    model,
    task,
    workload.seq_length,
    variant.optimizer,
    StepOptions(dropout_rng=variant.compute.dropout_rng),
  )
  placed = feeding.put_batch(batch, mesh)
  begin = time.perf_counter()
  with _order(variant):
    lowered = step.lower(state, placed)
  compiled = lowered.compile()
  compile_seconds = time.perf_counter() - begin
  seconds, metrics = median_step_seconds(compiled, state, placed, budget)
  return {
    "rows": rows,
    "ms": 1e3 * seconds,
    "compile_s": compile_seconds,
    "bytes_planned": planned_bytes(compiled),
    "bytes_peak": _new_peak(peak_before),
    **_rates(workload, batch, metrics, seconds),
  }


def _order(variant: Variant) -> contextlib.AbstractContextManager[Any]:
  """Let the model attend in the order of a variant while a step is traced."""
  if not variant.queries_first:
    return contextlib.nullcontext()
  return mock.patch.object(model_attention, "attend", queries_first.attend)


def _rates(
  workload: Workload, batch: Batch, metrics: Any, seconds: float
) -> dict[str, Any]:
  counts = {
    name: float(metrics[name][0]) for name in flops.COUNTS if name in metrics
  }
  predictions = float(metrics["mlm_loss"][1])
  done = flops.train_flops(workload.model, counts, predictions)
  peak = peak_flops(jax.devices()[0].device_kind)
  return {
    "real_tokens_per_s": counts["tokens"] / seconds,
    "examples_per_s": counts["examples"] / seconds,
    "model_tflops": done / seconds / 1e12,
    "mfu": done / seconds / peak if peak else None,
    "packing": counts["tokens"] / batch["packs_BS"].size,
    "finite": bool(np.isfinite(float(metrics["loss"][0]))),
  }


def _rows(workload: Workload, rows: int) -> Batch:
  lengths = steps.mixed_rows(rows, workload.seq_length)
  return steps.make_batch(
    workload.model.vocab_size, workload.seq_length, lengths
  )


def _repeating_rows(workload: Workload, number: int) -> Batch:
  lengths = steps.full_rows(workload.rows, workload.seq_length)
  batch = steps.make_batch(
    workload.model.vocab_size, workload.seq_length, lengths, seed=number
  )
  tokens_BS = batch["tokens_BS"]
  special_BS = tokens_BS < steps.SPECIALS
  batch["tokens_BS"] = np.where(special_BS, tokens_BS, tokens_BS[:, 1:2])
  return batch


def _objective(model: ModelConfig) -> ObjectiveConfig:
  return ObjectiveConfig(next_sentence="nsp" if model.pooler else "off")


def _new_peak(before: int) -> int | None:
  """Return the peak of a step, or None where an earlier one was higher.

  A device tells the highest use since the process began, and nothing resets it.
  """
  peak = _peak()
  return peak if peak > before else None


def _peak() -> int:
  stats = jax.devices()[0].memory_stats() or {}
  return stats.get("peak_bytes_in_use", 0)
