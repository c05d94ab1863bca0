# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a task, and the splits that are held out of its training file.

It serves tasks whose examples have no single label to stratify by.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.tasks.figures import TableFigures
from data_pipelines.tasks.splits import TextKey, hold_out

Example = TypeVar("Example")


class ExampleFile(NamedTuple, Generic[Example]):
  """What was read of a file.

  Attributes:
    examples: the examples that can be used.
    skipped: what is wrong with each of the others, with its place.
  """

  examples: Sequence[Example]
  skipped: tuple[str, ...]


class Splits(NamedTuple, Generic[Example]):
  """The splits of a task.

  Attributes:
    examples: examples of "train", "dev" and, unless there is none, "test".
    figures: what was counted.
  """

  examples: dict[str, Sequence[Example]]
  figures: TableFigures


def load_splits(
  config: TaskConfig,
  read: Callable[[str], ExampleFile[Example]],
  key: Callable[[Example], TextKey],
  *,
  alone: bool = False,
) -> Splits[Example]:
  """Read the files of a task, and hold out the splits that have none.

  Args:
    config: names the files, and the shares to hold out.
    read: path → examples.
    key: example → a key; examples of one key are in one split.
    alone: whether the test file is the only one that is read.

  Raises:
    ValueError: as `read`; there is no training file, or too little in it.
  """
  if alone:
    file = read(config.test)
    return Splits({"test": file.examples}, _figures({"test": file}, ""))
  if not config.train:
    raise ValueError("task.train is empty; give the path of the training file")
  paths = {"train": config.train, "dev": config.dev, "test": config.test}
  files = {name: read(path) for name, path in paths.items() if path}
  splits = {name: file.examples for name, file in files.items()}
  # One seed for both would hold out the same ranks. Test is held out first.
  for offset, (name, rate) in enumerate(
    (("test", config.test_rate), ("dev", config.dev_rate))
  ):
    if name not in splits and rate:
      splits["train"], splits[name] = _hold_out(
        splits["train"], key, rate, config.seed + offset
      )
      if not splits[name]:
        raise ValueError(
          f"{config.train} is one text, so no {name} can be held out; give "
          f"task.{name}"
        )
  unscored = "" if "test" in splits else "task.test_rate is 0"
  return Splits(splits, _figures(files, unscored))


def leave_out(
  splits: Splits[Example], wrong: Callable[[Example], str]
) -> Splits[Example]:
  """Return splits without the examples that are wrong, which are counted.

  Args:
    splits: the splits.
    wrong: example → what is wrong with it, and its place; "" for nothing.

  Raises:
    ValueError: nothing is left of a split.
  """
  kept: dict[str, Sequence[Example]] = {}
  skipped = []
  for name, examples in splits.examples.items():
    found = [(example, wrong(example)) for example in examples]
    kept[name] = [example for example, why in found if not why]
    skipped += [why for _, why in found if why]
    if not kept[name]:
      raise ValueError(
        f"{name} has no examples that can be used; {skipped[-1]}; give others "
        f"in task.{name}"
      )
  figures = splits.figures
  return Splits(
    kept,
    dataclasses.replace(figures, skipped=(*figures.skipped, *skipped)),
  )


def _figures(
  files: Mapping[str, ExampleFile[Any]], unscored: str
) -> TableFigures:
  return TableFigures(
    rows=sum(len(f.examples) + len(f.skipped) for f in files.values()),
    skipped=tuple(line for file in files.values() for line in file.skipped),
    unscored_test=unscored,
  )


def _hold_out(
  examples: Sequence[Example],
  key: Callable[[Example], TextKey],
  rate: float,
  seed: int,
) -> tuple[list[Example], list[Example]]:
  labels_N = np.zeros(len(examples), np.int64)
  kept, held = hold_out(labels_N, [key(e) for e in examples], rate, seed)
  return [examples[i] for i in kept], [examples[i] for i in held]
