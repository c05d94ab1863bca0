# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuned model that tests read, and how to compile little for one."""

import contextlib
import json

import jax
import pytest

from bertjax.checkpoints.bundle import RECORD
from bertjax.checkpoints.digest import seal, unseal
from bertjax.config import FinetuneConfig, TaskConfig
from bertjax.parallel.mesh import make_mesh
from launch import finetune
from tests.testing import small

MODULES = (
  *("launch.tasks", "launch.evaluate", "launch.inference.stored_task"),
  "bertjax.finetune.arm",
)
# A run that changes the weights; its caller adds the task.
TWO_STEPS = FinetuneConfig(
  steps=2,
  batch_size=8,
  evaluation_batch_size=16,
  evaluations=1,
  seq_length=64,
  learning_rates=(1e-3,),
  seeds=1,
)


@contextlib.contextmanager
def small_programs():
  """Fine-tune on one device: to compile for eight takes three times as long."""
  with pytest.MonkeyPatch.context() as patch:
    for module in MODULES:
      patch.setattr(
        f"{module}.make_mesh",
        lambda config: make_mesh(config, jax.devices()[:1]),
      )
    yield


def make_config(folder):
  """A run of seconds on the tables of `make`, of texts longer than its rows."""
  return FinetuneConfig(
    steps=12,
    batch_size=8,
    evaluation_batch_size=16,
    evaluations=2,
    seq_length=8,
    learning_rates=(1e-2,),
    seeds=1,
    task=TaskConfig(
      kind="table",
      text="question",
      label="kind",
      long_texts="max",
      stride=4,
      train=f"{folder}/train.jsonl",
      dev=f"{folder}/dev.jsonl",
      test=f"{folder}/test.jsonl",
    ),
  )


def write_table(path, rows):
  """Write (text, label) with the columns of `make_config`; return the path."""
  lines = (json.dumps({"question": t, "kind": c}) + "\n" for t, c in rows)
  path.write_text("".join(lines))
  return str(path)


def make(folder):
  """Write a table for each split, the folder of a run, and its model in it."""
  for seed, name in enumerate(("train", "dev", "test")):
    write_table(folder / f"{name}.jsonl", small.make_texts(24, seed))
  bundle = small.make_bundle(folder / "bundle")
  with small_programs():
    finetune.run(make_config(folder), bundle, str(folder / "work"))


def move_data(model, old, new):
  """Have the record of a model name its tables in another folder."""
  record = model / RECORD
  values = unseal(json.loads(record.read_text()))
  moved = json.loads(json.dumps(values).replace(str(old), str(new)))
  record.write_text(json.dumps(seal(moved)))
