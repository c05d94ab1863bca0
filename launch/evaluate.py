# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Score a fine-tuned model again, on any split of its task.

    python -m launch.evaluate --bundle=WORKDIR/model [--split=test]
    python -m launch.evaluate --bundle=WORKDIR/model \
      --config=finetune:task=table --config.task.train=train.csv \
      --config.task.dev=dev.csv --config.task.test=new.csv

Without --config the data are those that the model was fine-tuned on, and the
devices all of this machine. It warns of what is wrong with the data, as
launch.finetune does, and prints the scores, a table of the classes, and which
classes are mistaken for which; --output=FILE.json has the whole confusion
matrix.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import (
  FinetuneConfig,
  MeshConfig,
  ModelConfig,
  from_mapping,
  renamed,
)
from bertjax.files import write_json
from bertjax.finetune import checks, splits
from bertjax.finetune.artifact import FinetunedModel, load_finetuned
from bertjax.finetune.programs import make_programs
from bertjax.finetune.scores import ClassCounts, confusion_matrix
from bertjax.finetune.task import FinetuneTask, Scores
from bertjax.finetune.windows import Windows
from bertjax.interop.outputs import SINGLE_LABEL
from bertjax.parallel.feeding import batch_shards
from bertjax.parallel.mesh import make_mesh
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.batches import MeasuredData
from launch import cli, tasks
from launch.commands import shipped_configs
from launch.inference.stream import tell
from launch.preflight import policy as policies
from launch.preflight.findings import to_json
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import describe, judge_task

# A matrix of more classes does not fit on a terminal.
_MATRIX = 12
# How many pairs of classes are listed instead.
_SHOWN = 12
_SPLITS = ("test", "dev", "train")


@dataclasses.dataclass(frozen=True)
class Evaluated:
  """The scores of a split.

  Attributes:
    split: name of the split.
    examples: number of its examples.
    labels: name of each class, or of each type of entity.
    scores: {name: value}.
    classes: counts of each class; None where outputs are not classes.
    confusion: how often each label (row) is predicted as each class; None where
      an example has not one class.
    findings: what is wrong with the data, and whether it was allowed.
  """

  split: str
  examples: int
  labels: tuple[str, ...]
  scores: Scores
  classes: ClassCounts | None
  confusion: np.ndarray | None
  findings: Sequence[Mapping[str, Any]] = ()

  def to_json(self) -> dict[str, Any]:
    """Return the fields as JSON values."""
    confusion = self.confusion
    return {
      **vars(self),
      "scores": dict(self.scores),
      "classes": self.classes and self.classes.to_json(),
      "confusion": None if confusion is None else confusion.tolist(),
    }


def evaluate(
  bundle: str,
  config: FinetuneConfig | None = None,
  split: str = "",
  policy: Policy = DEFAULT,
) -> Evaluated:
  """Score a fine-tuned model on a split.

  Args:
    bundle: folder of the model.
    config: the task and how to read it; None is what the model was fine-tuned
      with, on all devices of this machine. The length of rows is the model's.
    split: "test", "dev" or "train"; "" is test, or dev if there is no test.
    policy: limits of the checks, and which may fail.

  Raises:
    ValueError: the bundle has another task or other classes, the data cannot be
      read, or a check of them fails.
  """
  model = load_finetuned(bundle, tasks.TASKS)
  info = read_bundle_info(bundle)
  if config is None:
    config = _fit_machine(_stored_config(bundle, info.details.config))
  head = model.head
  config = dataclasses.replace(
    config,
    seq_length=head.seq_length,
    pooling=head.pooling or FinetuneConfig.pooling,
  )
  task = tasks.find(config.task)
  if task.name != model.task.name:
    raise ValueError(
      f"{bundle} is a model of {model.task.name}, and --config is of "
      f"{task.name}; give the config that it was fine-tuned with"
    )
  config = checks.with_metric(config, task)
  data, _ = tasks.load_data(config, info.model, info.tokenizer_path)
  _check_labels(bundle, model, data)
  split = split or next(name for name in _SPLITS if name in data.splits)
  if split not in data.splits:
    raise ValueError(
      f"{data.name} has no labeled split {split!r}; it has "
      f"{', '.join(data.splits)}"
    )
  findings = judge_task(
    data.figures, config.seq_length, info.details.tokens_per_word, policy
  )
  for line in describe(data.figures, config.seq_length):
    print(line, flush=True)
  settle(findings, policy)
  found = _score(model, info.model, config, data, split)
  return dataclasses.replace(found, findings=to_json(findings, policy))


def _score(
  model: FinetunedModel,
  encoder: ModelConfig,
  config: FinetuneConfig,
  data: MeasuredData,
  split: str,
) -> Evaluated:
  # The programs of training, so that the scores are those that it stored.
  programs = make_programs(
    model.task,
    len(data.labels),
    encoder,
    config,
    steps=1,
    mesh=make_mesh(config.mesh),
  )
  placed = splits.make_split(
    data.splits[split],
    programs,
    config.evaluation_batch_size,
    data.labels,
    # What dev has tuned is in the record of the head.
    {**data.settings, **model.head.settings},
  )
  found = splits.evaluate(programs, programs.place(model.params), placed)
  return Evaluated(
    split,
    len(data.splits[split]),
    model.task.class_names(data.labels),
    found.scores,
    found.classes,
    _confusion(model.task, found, placed.windows),
  )


def _confusion(
  task: FinetuneTask, found: splits.Evaluation, windows: Windows
) -> np.ndarray | None:
  if task.problem_type != SINGLE_LABEL:
    return None
  assert task.class_logits is not None
  assert found.outputs is not None
  return confusion_matrix(*task.class_logits(found.outputs, windows))


def _stored_config(
  bundle: str, stored: Mapping[str, Any] | None
) -> FinetuneConfig:
  if stored is None:
    raise ValueError(
      f"{bundle} does not say what it was fine-tuned on; give --config"
    )
  return from_mapping(FinetuneConfig, renamed.current(stored))


def _fit_machine(config: FinetuneConfig) -> FinetuneConfig:
  """Return a config for all devices of this machine.

  The mesh of training is that of another machine. It does not change scores,
  and neither do the sizes of batches, which must be multiples of its shards.
  Its kernel of attention may be one that this machine lacks.
  """
  shards = batch_shards(make_mesh(MeshConfig()))
  step = shards * config.optimizer.accumulation
  return dataclasses.replace(
    config,
    mesh=MeshConfig(),
    compute=dataclasses.replace(config.compute, attention="auto"),
    batch_size=-(-config.batch_size // step) * step,
    evaluation_batch_size=-(-config.evaluation_batch_size // shards) * shards,
  )


def _check_labels(
  bundle: str, model: FinetunedModel, data: MeasuredData
) -> None:
  known = model.head.labels
  if tuple(data.labels) == known:
    return
  new = [label for label in data.labels if label not in known]
  gone = [label for label in known if label not in data.labels]
  found = (
    f"the label {new[0]!r}, which it never saw"
    if new
    else (f"no {gone[0]!r}" if gone else "them in another order")
  )
  raise ValueError(
    f"{bundle} knows {len(known)} labels, and {data.name} has {found}; give "
    "task.train of its fine-tuning, which names the labels"
  )


def show(found: Evaluated) -> str:
  """Return the tables that are printed."""
  parts = [
    f"{found.split}: {found.examples:,} examples",
    markdown(
      ["score", found.split],
      [[name, f"{value:.4f}"] for name, value in found.scores.items()],
    ),
  ]
  if found.classes is not None:
    parts.append(_class_table(found.labels, found.classes))
  if found.confusion is not None:
    parts += _confusions(found.labels, found.confusion)
  return "\n\n".join(parts)


def _class_table(labels: Sequence[str], counts: ClassCounts) -> str:
  rows = [
    [
      _plain(label),
      f"{counts.labels[index]:,}",
      f"{counts.predictions[index]:,}",
      _share(counts.right[index], counts.predictions[index]),
      _share(counts.right[index], counts.labels[index]),
      f"{counts.f1(index):.4f}",
    ]
    for index, label in enumerate(labels)
  ]
  header = ["class", "examples", "predicted", "precision", "recall", "F1"]
  return markdown(header, rows)


def _confusions(labels: Sequence[str], confusion: np.ndarray) -> list[str]:
  if len(labels) <= _MATRIX:
    rows = [
      [_plain(label), *map(str, counts)]
      for label, counts in zip(labels, confusion.tolist(), strict=True)
    ]
    return [
      "how often each label (row) is predicted as each class (column):",
      markdown(["", *map(_plain, labels)], rows),
    ]
  wrong = confusion * (1 - np.eye(len(labels), dtype=confusion.dtype))
  largest = np.argsort(-wrong, axis=None, kind="stable")[:_SHOWN]
  rows = []
  for place in map(int, largest):
    label, predicted = divmod(place, len(labels))
    if count := int(wrong[label, predicted]):
      rows.append(
        [_plain(labels[label]), _plain(labels[predicted]), str(count)]
      )
  if not rows:
    return ["no class is mistaken for another"]
  return [
    "the most frequent mistakes (--output has the whole confusion matrix):",
    markdown(["label", "predicted as", "times"], rows),
  ]


def _share(part: int, whole: int) -> str:
  return f"{part / whole:.4f}" if whole else "–"


def _plain(label: str) -> str:
  return label.replace("|", "\\|")


def define_flags() -> None:
  """Define the flags; not at import, because others call `evaluate`."""
  shipped_configs.define_flag("finetune:task=table")
  flags.DEFINE_string(
    "bundle", None, "Folder of a fine-tuned model.", required=True
  )
  flags.DEFINE_enum(
    "split", None, _SPLITS, "The split; by default test, or else dev."
  )
  flags.DEFINE_string("output", "", "File of the scores, as JSON.")
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Evaluate as the flags say."""
  values = flags.FLAGS
  config = None
  if values.config is not None:
    config = from_mapping(FinetuneConfig, values.config.to_dict())
  found = evaluate(
    values.bundle, config, values.split or "", policies.from_flags()
  )
  print(show(found), flush=True)
  if values.output:
    write_json(pathlib.Path(values.output), found.to_json(), allow_nan=False)
    tell(f"the scores are in {values.output}")


if __name__ == "__main__":
  define_flags()
  cli.run(main)
