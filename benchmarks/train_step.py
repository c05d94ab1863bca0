# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a train step, beside Hugging Face's PyTorch.

    python -m benchmarks.train_step [--size=base] [--batch_size=8]

Ours is the step that `launch.pretrain` runs: masking, forward, backward,
clipping, AdamW, dropout. Theirs is `BertForPreTraining` with as many labels,
torch's AdamW (fused) and gradient clipping, dropout on, and the attention that
transformers chooses; `--compile` has torch.compile's step as well, which takes
a C++ compiler. In bfloat16 our own float32 takes turns, too, and with
`--optimizer=lamb`, say, our own step with AdamW. All take turns, step by step,
so that other load on the machine slows all of them. Medians of wall time and of
the processor time of this process are compared.
"""

import contextlib
import dataclasses
import functools
import os
import time
from typing import Any

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
from absl import app, flags

from benchmarks import compiler, figures, goals, steps, turns
from benchmarks.turns import (
  COMPILED,
  EAGER,
  OURS,
  OURS_ADAMW,
  OURS_FLOAT32,
  Step,
)
from bertjax.batch import Batch
from bertjax.config import (
  SIZES,
  ComputeConfig,
  ModelConfig,
  ObjectiveConfig,
  OptimizerConfig,
  choices,
)
from bertjax.config.checks import open_choices
from bertjax.interop.architectures import PRETRAINING
from bertjax.interop.huggingface_config import config_to_huggingface
from bertjax.objectives.task import Features, Task
from bertjax.parallel import feeding
from launch import host_memory

SIZE = flags.DEFINE_enum("size", "base", list(SIZES), "Shape of the model.")
VOCAB_SIZE = flags.DEFINE_integer(
  "vocab_size", 30522, "Tokens of the vocabulary."
)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Rows of a step.")
SEQ_LENGTH = flags.DEFINE_integer("seq_length", 128, "Tokens of a row.")
SLOTS = flags.DEFINE_integer(
  "slots", 20, "Prediction slots of a row; 0: as many as suffice."
)
ROUNDS = flags.DEFINE_integer(
  "rounds", 7, "Timed steps of each, after two untimed."
)
DROPOUT = flags.DEFINE_bool("dropout", True, "Dropout of rate 0.1.")
DTYPE = flags.DEFINE_enum(
  "dtype",
  "float32",
  list(choices(ComputeConfig, "dtype")),
  "Dtype of compute; PyTorch's is autocast to it.",
)
OPTIMIZER = flags.DEFINE_enum(
  "optimizer",
  "adamw",
  list(choices(OptimizerConfig, "name")),
  "Our optimizer; PyTorch's is AdamW.",
)
UNROLL = flags.DEFINE_integer(
  "unroll", 0, "Layers in an iteration of the scan; 0: as a run chooses."
)
TORCH = flags.DEFINE_bool("torch", True, "Time Hugging Face's step as well.")
COMPILE = flags.DEFINE_bool(
  "compile", False, "Time Hugging Face's step by torch.compile, too."
)
RETAIN = flags.DEFINE_bool("retain", True, "Keep freed memory in the process.")


def make_batch(vocab_size: int) -> Batch:
  """Return full rows [CLS] A [SEP] B [SEP] of random tokens."""
  length = SEQ_LENGTH.value
  lengths = steps.full_rows(BATCH_SIZE.value, length)
  return steps.make_batch(vocab_size, length, lengths)


def num_slots() -> int:
  """Return the number of prediction slots of a row."""
  return SLOTS.value or steps.slots_for(SEQ_LENGTH.value, 1)


def make_task(
  config: ModelConfig, objective: ObjectiveConfig, dtype: Any = None
) -> Task:
  """Return the task of `launch.pretrain`, in a dtype or that of the flag."""
  # The flag takes the values of the field alone.
  dtype = dtype or DTYPE.value
  compute = open_choices.resolve(
    ComputeConfig(unroll=UNROLL.value, dtype=dtype),
    config,
    jax.devices()[:1],
    SEQ_LENGTH.value,
  )
  return steps.make_task(config, compute, objective, num_slots())


def make_ours(
  config: ModelConfig, task: Task, batch: Features, optimizer: Any = "adamw"
) -> tuple[Step, float]:
  """Return a function that runs one step, and the seconds to compile it."""
  carried, jitted, mesh = steps.make_train_step(
    config, task, SEQ_LENGTH.value, OptimizerConfig(name=optimizer)
  )
  placed = feeding.put_batch(batch, mesh)
  begin = time.perf_counter()
  train_step = jitted.lower(carried, placed).compile()
  seconds = time.perf_counter() - begin

  def run() -> None:
    nonlocal carried
    carried, metrics = train_step(carried, placed)
    jax.block_until_ready((carried, metrics))

  return run, seconds


def make_theirs(
  config: ModelConfig, batch: Batch, *, compiled: bool
) -> dict[str, Step]:
  """Return functions that run one step of Hugging Face's model, by name."""
  import torch
  import transformers

  torch.set_num_threads(os.cpu_count() or 1)
  model = transformers.BertForPreTraining(
    transformers.BertConfig(**config_to_huggingface(config, PRETRAINING, 0))
  )
  model.train()
  optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
  chosen = np.argsort(np.random.default_rng(1).random(batch["tokens_BS"].shape))
  labels = np.where(chosen < num_slots(), batch["tokens_BS"], -100)
  inputs = {
    "input_ids": batch["tokens_BS"],
    "token_type_ids": batch["types_BS"],
    "attention_mask": batch["packs_BS"],
    "labels": labels,
    "next_sentence_label": batch["pair_label_BR"][:, 0],
  }
  tensors = {
    name: torch.tensor(array, dtype=torch.long)
    for name, array in inputs.items()
  }

  def cast() -> contextlib.AbstractContextManager[object]:
    if DTYPE.value == "float32":
      return contextlib.nullcontext()
    return torch.autocast("cpu", getattr(torch, DTYPE.value))

  def run(forward: Any) -> None:
    optimizer.zero_grad(set_to_none=True)
    with cast():
      loss = forward(**tensors).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

  made: dict[str, Step] = {EAGER: functools.partial(run, model)}
  if compiled:
    made[COMPILED] = functools.partial(run, torch.compile(model))
  return made


def main(_: object) -> None:
  """Compile, run in turn, print medians and their ratio."""
  if COMPILE.value:
    compiler.check()
  if RETAIN.value:
    host_memory.retain()
  config = dataclasses.replace(SIZES[SIZE.value], vocab_size=VOCAB_SIZE.value)
  if not DROPOUT.value:
    config = dataclasses.replace(
      config, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
    )
  batch, objective = make_batch(config.vocab_size), ObjectiveConfig()
  task, optimizer = make_task(config, objective), OPTIMIZER.value
  ours, compile_seconds = make_ours(config, task, batch, optimizer)
  print(
    f"BERT-{SIZE.value}, V={config.vocab_size} B={BATCH_SIZE.value} "
    f"S={SEQ_LENGTH.value} P={num_slots()} {DTYPE.value}, {optimizer}, dropout "
    f"{config.hidden_dropout_rate}, {os.cpu_count()} cores; "
    f"cold compile {compile_seconds:.1f} s"
  )
  contenders = {OURS: ours}
  if DTYPE.value != "float32":
    own = make_task(config, objective, "float32")
    contenders[OURS_FLOAT32], _ = make_ours(config, own, batch, optimizer)
  if optimizer != "adamw":
    contenders[OURS_ADAMW], _ = make_ours(config, task, batch)
  if TORCH.value:
    contenders |= make_theirs(config, batch, compiled=COMPILE.value)
  seconds = turns.interleave(contenders, ROUNDS.value)
  for line in turns.describe(seconds, BATCH_SIZE.value * SEQ_LENGTH.value):
    print(line)
  shape = (
    f"BERT-{SIZE.value} {BATCH_SIZE.value} × {SEQ_LENGTH.value}, "
    f"{turns.dtype_words(DTYPE.value)}"
  )
  if optimizer != "adamw":
    shape += f", {optimizer}"
  wanted = goals.find("train step", DTYPE.value, optimizer)
  figures.record(
    *turns.compare(f"train step, {shape}", seconds, wanted),
    figures.Figure(f"cold compile, {shape}", compile_seconds, "s"),
  )


if __name__ == "__main__":
  app.run(main)
