# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The public data sets that benchmarks.public_tasks trains on, and how.

The steps are few, so that one seed of all of them takes minutes.
"""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from bertjax.config import FinetuneConfig, from_mapping
from configs.finetune import get_config

# Names of scores: the recall of a class, and the accuracy on all others.
RECALL, WITHOUT = "recall of ", "accuracy without "


class Row(NamedTuple):
  """A data set, how it is trained on, and the scores that count.

  Attributes:
    title: what the table calls it.
    overlay: task of configs/finetune.py.
    files: {field of the task: path below `--data`}.
    settings: {field of the config: value}.
    scores: {what the table calls a score: its name, or the name of a class
      after `RECALL` or `WITHOUT`}.
    split: where it is scored; "dev" also chose the checkpoint.
    start: "bundle", "books" or "scratch".
  """

  title: str
  overlay: str
  files: Mapping[str, str]
  settings: Mapping[str, Any]
  scores: Mapping[str, str]
  split: str = "test"
  start: str = "bundle"


_BANKING77 = {
  "task.train": "banking77/train.csv",
  "task.test": "banking77/test.csv",
}
_STS_B = {"task.folder": "sts_b"}
_ACCURACY = {"accuracy": "accuracy"}
_SPEARMAN = {"Spearman": "spearman"}
# Encoders of sentences, such as MiniLM, have no trained pooler.
_MEAN = {"pooling": "mean"}
_INTENTS = {
  **_MEAN,
  "task.label": "category",
  "seq_length": 64,
  "batch_size": 64,
  "learning_rates": (5e-4,),
}
_SIMILARITY = {
  **_MEAN,
  "seq_length": 128,
  "steps": 250,
  "learning_rates": (3e-4,),
  "metric": "spearman",
}
# Rates of an encoder that begins further away (benchmarks/books.py).
_FAST = {"learning_rates": (1e-3,)}

_ROWS: Mapping[str, Row] = {
  "banking77_20": Row(
    "banking77, 20 labels a class",
    "table",
    _BANKING77,
    {**_INTENTS, "task.labels_per_class": 20, "epochs": 8.0},
    _ACCURACY,
  ),
  "banking77": Row(
    "banking77, all labels",
    "table",
    _BANKING77,
    {**_INTENTS, "epochs": 2.5},
    _ACCURACY,
  ),
  "clinc150": Row(
    "CLINC150 with out-of-scope",
    "clinc150",
    {"task.folder": "clinc150"},
    {
      **_MEAN,
      "seq_length": 64,
      "batch_size": 64,
      "learning_rates": (5e-4,),
      "epochs": 1.5,
    },
    # As Larson et al. (2019) report them; 1,000 of 5,500 are out of scope.
    {
      "accuracy": "accuracy",
      "in scope": f"{WITHOUT}oos",
      "out-of-scope recall": f"{RECALL}oos",
    },
  ),
  "cola": Row(
    "CoLA",
    "glue/cola",
    {"task.folder": "cola"},
    {**_MEAN, "seq_length": 64, "learning_rates": (3e-4,), "epochs": 1.5},
    {"MCC": "matthews"},
    split="dev",
  ),
  "rte": Row(
    "RTE",
    "glue/rte",
    {"task.folder": "rte"},
    {**_MEAN, "seq_length": 192, "learning_rates": (1e-4,), "epochs": 3.0},
    _ACCURACY,
    split="dev",
  ),
  "sts_b": Row(
    "STS-B", "glue/stsb", _STS_B, _SIMILARITY, _SPEARMAN, split="dev"
  ),
  "wnut17": Row(
    "WNUT17",
    "ner",
    {
      f"task.{name}": f"wnut17/{name}.conll"
      for name in ("train", "dev", "test")
    },
    {"seq_length": 128, "learning_rates": (5e-4,), "epochs": 2.5},
    {"entity F1": "f1"},
  ),
  "xquad_en": Row(
    "XQuAD-en",
    "squad",
    {"task.train": "xquad_en/train.json", "task.test": "xquad_en/dev.json"},
    {"batch_size": 16, "learning_rates": (5e-4,), "epochs": 4.0},
    {"EM": "exact", "F1": "f1"},
  ),
}
# Those that are run from other starts, too, before all others are.
_FIRST = ("banking77", "sts_b")
_STARTS = {"books": "from books", "scratch": "from scratch"}


def _rows_from(start: str, *, first: bool) -> dict[str, Row]:
  """Return the rows of another start, for the first data sets or the others."""
  return {
    f"{name}_{start}": row._replace(
      title=f"{row.title}, {_STARTS[start]}",
      settings={**row.settings, **_FAST},
      start=start,
    )
    for name, row in _ROWS.items()
    if (name in _FIRST) == first
  }


# In the order in which they are run.
ROWS: Mapping[str, Row] = _ROWS | {
  name: row
  for first in (True, False)
  for start in _STARTS
  for name, row in _rows_from(start, first=first).items()
}


def make_config(row: Row, data: pathlib.Path, seeds: int) -> FinetuneConfig:
  """Return how a data set is trained on."""
  config = get_config(f"task={row.overlay}")
  paths = {field: str(data / path) for field, path in row.files.items()}
  config.update_from_flattened_dict(
    {"evaluations": 2, "seeds": seeds} | paths | dict(row.settings)
  )
  return from_mapping(FinetuneConfig, config.to_dict())
