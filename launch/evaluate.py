# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Score a fine-tuned model again, on any split of its task.

    python -m launch.evaluate --bundle=WORKDIR/model [--split=test]
    python -m launch.evaluate --bundle=WORKDIR/model --split=new.csv
    python -m launch.evaluate --bundle=WORKDIR/model --task=glue/mrpc \
      --config.task.folder=glue_data

Without --task the data are those that the model was fine-tuned on, which its
bundle records, and fields of --config.task are changed as in launch.finetune.
--split=FILE reads nothing but that file. The classes, the length of rows and
how long texts are read are always those of the model. Devices are all of this
machine; a whole --config says otherwise.

It warns of what is wrong with the data, as launch.finetune does, and prints
the scores, how far probabilities can be trusted, a table of the classes, and
which classes are mistaken for which. --output=FILE.json has the whole confusion
matrix; it replaces scores of the same model on the same data, and no other
file.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags
from ml_collections import config_flags

from bertjax.batch import SplitData
from bertjax.checkpoints.bundle import RECORD, read_bundle_info
from bertjax.config import (
  FinetuneConfig,
  ModelConfig,
  from_mapping,
)
from bertjax.files import sha256_of, write_json
from bertjax.finetune import checks, splits
from bertjax.finetune.artifact import FinetunedModel, load_finetuned
from bertjax.finetune.programs import make_programs
from bertjax.finetune.results_page import describe_absent
from bertjax.finetune.scores import ClassCounts, confusion_matrix
from bertjax.finetune.scores.calibration import (
  CalibrationErrors,
  calibration_errors,
)
from bertjax.finetune.task import Scores
from bertjax.interop.outputs import SINGLE_LABEL
from bertjax.parallel.mesh import make_mesh
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.batches import MeasuredData
from data_pipelines.tasks.typed_rows import is_name
from launch import cli, tasks
from launch.commands import output_paths, shipped_configs
from launch.hosts import compile_cache
from launch.inference import score_file, stored_task
from launch.inference.outputs import writing
from launch.inference.stored_task import NAMES, SPLITS, Asked
from launch.inference.stream import tell
from launch.preflight import policy as policies
from launch.preflight.findings import to_json
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import describe, judge_task
from launch.reports import class_tables

# The config whose fields --config.… changes where no config is given.
_NO_CONFIG = "finetune"


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
    calibration: how far probabilities can be trusted; None where answers have
      none.
    identity: what determines the scores: model, split and data.
    notes: what to know of the scores of classes, in sentences.
  """

  split: str
  examples: int
  labels: tuple[str, ...]
  scores: Scores
  classes: ClassCounts | None
  confusion: np.ndarray | None
  findings: Sequence[Mapping[str, Any]] = ()
  calibration: CalibrationErrors | None = None
  identity: Mapping[str, str] = dataclasses.field(default_factory=dict)
  notes: Sequence[str] = ()

  def to_json(self) -> dict[str, Any]:
    """Return the fields as JSON values."""
    confusion, calibration = self.confusion, self.calibration
    return {
      **vars(self),
      "scores": dict(self.scores),
      "calibration": calibration and calibration.to_json(),
      "classes": self.classes and self.classes.to_json(),
      "confusion": None if confusion is None else confusion.tolist(),
    }


def evaluate(
  bundle: str,
  config: FinetuneConfig | None = None,
  split: str = "",
  policy: Policy = DEFAULT,
  *,
  task: str = "",
  changes: Mapping[str, Any] | None = None,
  output: str = "",
) -> Evaluated:
  """Score a fine-tuned model on a split.

  Args:
    bundle: folder of the model.
    config: the task and how to read it; None is what the model was fine-tuned
      with, on all devices of this machine. The length of rows is the model's.
    split: "test", "dev", "train", or a file that is read alone; "" is test, or
      dev if there is no test.
    policy: limits of the checks, and which may fail.
    task: where `config` is None, the name of a task in configs/finetune.py; ""
      is that of the model.
    changes: where `config` is None, {dotted field: value} that differ.
    output: file that will hold the scores, as JSON; "" is none.

  Raises:
    ValueError: the bundle has another task or other classes, the data cannot be
      read, a check of them fails, or `output` is another file.
  """
  _check_output(output, bundle, split)
  model = load_finetuned(bundle, tasks.TASKS)
  info = read_bundle_info(bundle)
  is_alone = config is None and stored_task.is_file(split)
  if config is None:
    stored, asked = info.details.config, Asked(task, changes or {}, split)
    config = stored_task.make_config(bundle, model, stored, asked)
    if not task:
      name = stored_task.overlay_name(config.task)
      print(f"--task={name}, as {bundle} was fine-tuned", flush=True)
  else:
    stored_task.check_task(bundle, config.task, model, "--config")
  output_paths.check_outside("output", output, tasks.files_of(config.task))
  config = stored_task.with_head(config, model.head)
  config = checks.with_metric(config, tasks.find(config.task))
  labels = model.head.labels if is_alone else None
  data, _ = tasks.load_data(config, info.model, info.tokenizer_path, labels)
  stored_task.check_data(bundle, model, data)
  scored = _find_split(data, "" if is_alone else split)
  identity = _identity(bundle, split or scored, data.splits[scored])
  if output:
    score_file.check(pathlib.Path(output), identity)
  words = info.details.tokens_per_word
  findings = judge_task(data.figures, config.seq_length, words, policy)
  print(*describe(data.figures, config.seq_length), sep="\n", flush=True)
  settle(findings, policy)
  return dataclasses.replace(
    _score(model, info.model, config, data, scored),
    split=split or scored,
    findings=to_json(findings, policy),
    identity=identity,
  )


def _check_output(output: str, bundle: str, split: str) -> None:
  """Refuse to write scores into what is read."""
  read = {"bundle": bundle}
  if stored_task.is_file(split):
    read["split"] = split
  output_paths.check_outside("output", output, read)


def _identity(bundle: str, name: str, split: SplitData) -> dict[str, str]:
  if name not in SPLITS and not is_name(name):
    # A file is the same however its path is spelled.
    name = str(pathlib.Path(name).resolve())
  return {
    "model": sha256_of(pathlib.Path(bundle) / RECORD),
    "split": name,
    "data": split.sha256(),
  }


def _find_split(data: MeasuredData, split: str) -> str:
  split = split or next(name for name in SPLITS if name in data.splits)
  if split not in data.splits:
    raise ValueError(
      f"{data.name} has no labeled split {split!r}; it has "
      f"{', '.join(data.splits)}"
    )
  return split


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
  assert found.outputs is not None
  confusion = calibration = None
  answered = model.task.answered(found.outputs, placed.windows)
  if answered is not None:
    calibration = calibration_errors(answered, model.head.temperature)
    if model.task.problem_type == SINGLE_LABEL:
      assert answered.labels_N is not None
      confusion = confusion_matrix(answered.logits_NC, answered.labels_N)
  names, counts = model.task.class_names(data.labels), found.classes
  absent = [n for i, n in enumerate(names) if counts and not counts.occurs(i)]
  return Evaluated(
    split,
    len(data.splits[split]),
    names,
    found.scores,
    counts,
    confusion,
    calibration=calibration,
    notes=tuple(describe_absent(absent, model.task)),
  )


def show(found: Evaluated) -> str:
  """Return the tables that are printed."""
  parts = [
    f"{found.split}: {found.examples:,} examples",
    markdown(
      ["score", pathlib.PurePath(found.split).name],  # a path is long
      [[name, f"{value:.4f}"] for name, value in found.scores.items()],
    ),
  ]
  if found.calibration is not None:
    parts.append(str(found.calibration))
  if found.classes is not None:
    parts.append(class_tables.class_table(found.labels, found.classes))
    parts += found.notes
  if found.confusion is not None:
    parts += class_tables.confusions(found.labels, found.confusion)
  return "\n\n".join(parts)


def define_flags() -> None:
  """Define the flags; not at import, because others call `evaluate`."""
  flags.DEFINE_enum(
    "task",
    None,
    NAMES,
    "How the data are read, as in --config=finetune:task=…; by default as in "
    "fine-tuning.",
  )
  shipped_configs.define_flag("finetune:task=table")
  flags.DEFINE_string(
    "bundle", None, "Folder of a fine-tuned model.", required=True
  )
  flags.DEFINE_string(
    "split",
    "",
    f"The split, one of {', '.join(SPLITS)}, or a file to score; by default "
    "test, or else dev.",
  )
  flags.DEFINE_string("output", "", "File of the scores, as JSON.")
  policies.define_flags()


def main(_: Sequence[str]) -> None:
  """Evaluate as the flags say."""
  compile_cache.keep(tells="new")
  values = flags.FLAGS
  output_paths.check_file("output", values.output)
  config, changes = None, {}
  if values.config is not None:
    changes = config_flags.get_override_values(values["config"])
    if config_flags.get_config_filename(values["config"]) != _NO_CONFIG:
      config = from_mapping(FinetuneConfig, values.config.to_dict())
      if values.task:
        raise ValueError(
          f"--task={values.task} and --config are both given; give one of them"
        )
  found = evaluate(
    values.bundle,
    config,
    values.split,
    policies.from_flags(),
    task=values.task or "",
    changes=changes,
    output=values.output,
  )
  print(show(found), flush=True)
  if values.output:
    path = pathlib.Path(values.output)
    with writing(path):
      write_json(path, found.to_json(), allow_nan=False)
    tell(f"the scores are in {values.output}")


def add_config(arguments: Sequence[str]) -> list[str]:
  """Return arguments with a --config for fields of --config.… to belong to."""
  names = [each.lstrip("-").partition("=")[0] for each in arguments]
  if "config" in names or not any(n.startswith("config.") for n in names):
    return list(arguments)
  return [arguments[0], f"--config={_NO_CONFIG}", *arguments[1:]]


if __name__ == "__main__":
  sys.argv[:] = add_config(sys.argv)
  define_flags()
  cli.run(main)
