# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of fine-tuning data, each with its reader and its task."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from bertjax.config import FinetuneConfig, ModelConfig, TaskConfig, choices
from bertjax.finetune import checks
from bertjax.finetune.classification import TASK as CLASSIFICATION
from bertjax.finetune.task import FinetuneTask
from bertjax.parallel.feeding import batch_shards
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks import stdlib, tabular
from data_pipelines.tasks.batches import MeasuredData, ReadTask
from data_pipelines.tokenizers import tokenizers


class Kind(NamedTuple):
  """A value of `TaskConfig.kind`."""

  read: ReadTask
  task: FinetuneTask


KINDS: Mapping[str, Kind] = {
  "stdlib": Kind(stdlib.read, CLASSIFICATION),
  "table": Kind(tabular.read, CLASSIFICATION),
}
assert set(KINDS) == set(choices(TaskConfig, "kind"))
# By name, in the order of KINDS.
TASKS: Mapping[str, FinetuneTask] = {
  kind.task.name: kind.task for kind in KINDS.values()
}


def find(kind: str) -> Kind:
  """Return the reader and the task of `TaskConfig.kind`.

  Raises:
    ValueError: there is no such kind.
  """
  if kind not in KINDS:
    raise ValueError(f"task.kind={kind!r}; give one of {', '.join(KINDS)}")
  return KINDS[kind]


def load_data(
  config: FinetuneConfig, encoder: ModelConfig, tokenizer_path: pathlib.Path
) -> tuple[MeasuredData, str]:
  """Check a config against an encoder, and read the data of its task.

  Returns:
    The data, and the hash of the tokenizer that encoded them.

  Raises:
    ValueError: a field of `config` or a file of the task cannot be used.
  """
  tokenizer = tokenizers.load(tokenizer_path)
  kind = find(config.task.kind)
  checks.check_config(config, kind.task, encoder, tokenizer.vocab_size)
  checks.check_shards(config, batch_shards(make_mesh(config.mesh)))
  data = kind.read(config.task, tokenizer, config.seq_length)
  checks.check_pairs(data.pair, encoder)
  return data, tokenizer.sha256
