# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a classifier of transformers with PyTorch, in a process of its own.

transformers' `Trainer` needs `accelerate`. This loop does what it does by
default on a CPU: batches as long as their longest text, torch's fused AdamW
without decay of biases and layer norms, gradients clipped by their norm, and
transformers' linear schedule.
"""

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

import numpy as np

# Batches of one epoch: as they come, and texts of like length together, as
# `Trainer` has them with `train_sampling_strategy="group_by_length"`.
AS_DRAWN, BY_LENGTH = "longest of a batch", "grouped by length"
EVALUATION = "evaluation"


class Rows(NamedTuple):
  """Encoded texts.

  Attributes:
    tokens_NS, types_NS: int32.
    length_N: number of tokens of each.
    label_N: class of each.
  """

  tokens_NS: np.ndarray
  types_NS: np.ndarray
  length_N: np.ndarray
  label_N: np.ndarray

  def take(self, numbers: np.ndarray | slice) -> Self:
    """Return some of the rows."""
    return type(self)(*(array[numbers] for array in self))

  def save(self, path: pathlib.Path) -> None:
    """Write the rows."""
    np.savez(path, **self._asdict())

  @classmethod
  def load(cls, path: pathlib.Path) -> Self:
    """Read rows that were saved."""
    with np.load(path) as saved:
      return cls(*(saved[name] for name in cls._fields))


class Recipe(NamedTuple):
  """How to train; fields are those of `FinetuneConfig` and its optimizer."""

  batch_size: int
  steps: int
  warmup_steps: int
  learning_rate: float
  beta1: float
  beta2: float
  epsilon: float
  weight_decay: float
  clip_norm: float


def collate(rows: Rows) -> dict[str, Any]:
  """Return the inputs of a model, as wide as the longest row."""
  import torch

  longest = int(rows.length_N.max())
  mask_NS = np.arange(longest) < rows.length_N[:, None]
  arrays = {
    "input_ids": rows.tokens_NS[:, :longest],
    "token_type_ids": rows.types_NS[:, :longest],
    "attention_mask": mask_NS,
    "labels": rows.label_N,
  }
  return {
    name: torch.from_numpy(array.astype(np.int64))
    for name, array in arrays.items()
  }


class Training:
  """A model and its optimizer.

  Args:
    folder: folder of the model; its config says how much is dropped.
    recipe: how to train.
    seed: seed of dropout.
  """

  def __init__(self, folder: pathlib.Path, recipe: Recipe, seed: int) -> None:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(seed)
    self.model = (
      transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    )
    self._clip_norm = recipe.clip_norm
    groups: dict[bool, list[Any]] = {True: [], False: []}
    for name, parameter in self.model.named_parameters():
      decays = not (name.endswith("bias") or "LayerNorm" in name)
      groups[decays].append(parameter)
    self._optimizer = torch.optim.AdamW(
      [
        {"params": groups[True], "weight_decay": recipe.weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
      ],
      lr=recipe.learning_rate,
      betas=(recipe.beta1, recipe.beta2),
      eps=recipe.epsilon,
      fused=True,
    )
    self._schedule = transformers.get_linear_schedule_with_warmup(
      self._optimizer, recipe.warmup_steps, recipe.steps
    )

  def step(self, rows: Rows) -> float:
    """Take a step on a batch; return its loss."""
    import torch

    self.model.train()
    loss = self.model(**collate(rows)).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
    self._optimizer.step()
    self._schedule.step()
    self._optimizer.zero_grad()
    return loss.item()

  def accuracy(self, rows: Rows, batch_size: int = 128) -> float:
    """Return the share of right answers."""
    import torch

    self.model.eval()
    order = np.argsort(rows.length_N, kind="stable")
    right = 0
    with torch.inference_mode():
      for start in range(0, len(order), batch_size):
        batch = collate(rows.take(order[start : start + batch_size]))
        found = self.model(**batch).logits.argmax(dim=-1)
        right += int((found == batch["labels"]).sum())
    return right / len(order)


def group_by_length(length_N: np.ndarray, batch_size: int) -> np.ndarray:
  """Return the order of an epoch in which rows of a batch are alike."""
  import torch
  from transformers import trainer_pt_utils

  order = trainer_pt_utils.get_length_grouped_indices(
    length_N.tolist(), batch_size, generator=torch.Generator().manual_seed(0)
  )
  return np.asarray(order)


class Task:
  """The data of a task, in the folder that `benchmarks` wrote.

  Args:
    folder: has `seedN/` with a model, `seedN.npz` with the rows of all its
      batches, and `evaluation.npz`.
    recipe: how to train.
    epoch: examples of an epoch.
  """

  def __init__(self, folder: pathlib.Path, recipe: Recipe, epoch: int) -> None:
    self._folder, self._recipe, self._epoch = folder, recipe, epoch
    self._turns: dict[str, Callable[[int], float]] = {}

  def train(self, seed: int) -> Mapping[str, float]:
    """Train and evaluate; return what `transformers_training.Score` has."""
    began = time.perf_counter()
    rows, size = self._rows(f"seed{seed}"), self._recipe.batch_size
    training = self._start(seed)
    losses = [
      training.step(rows.take(slice(step * size, (step + 1) * size)))
      for step in range(self._recipe.steps)
    ]
    last = losses[-max(1, len(losses) // 10) :]
    return {
      "accuracy": training.accuracy(self._rows(EVALUATION)),
      "train_loss": sum(last) / len(last),
      "seconds": time.perf_counter() - began,
    }

  def turn(self, way: str, steps: Sequence[int]) -> float:
    """Take some steps of the first epoch; return the seconds."""
    if way not in self._turns:
      self._turns[way] = self._make_turn(way)
    began = time.perf_counter()
    for step in steps:
      self._turns[way](step)
    return time.perf_counter() - began

  def _make_turn(self, way: str) -> Callable[[int], float]:
    size = self._recipe.batch_size
    rows = self._rows("seed0").take(slice(0, self._epoch))
    if way == BY_LENGTH:
      rows = rows.take(group_by_length(rows.length_N, size))
    training = self._start(0)
    return lambda step: training.step(
      rows.take(slice(step * size, (step + 1) * size))
    )

  def _start(self, seed: int) -> Training:
    return Training(self._folder / f"seed{seed}", self._recipe, seed)

  def _rows(self, name: str) -> Rows:
    return Rows.load(self._folder / f"{name}.npz")


def serve(
  tasks: Mapping[str, tuple[pathlib.Path, Recipe, int]], connection: Connection
) -> None:
  """Answer (task, method, arguments) until None comes.

  Args:
    tasks: {name: arguments of `Task`}.
    connection: to the other process.
  """
  made = {name: Task(*given) for name, given in tasks.items()}
  while (request := connection.recv()) is not None:
    task, method, arguments = request
    connection.send(getattr(made[task], method)(*arguments))
