# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An arm: one task, learned from one bundle or from random parameters."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from bertjax import files
from bertjax.batch import TaskData
from bertjax.checkpoints.bundle import (
  RECORD,
  BundleInfo,
  read_bundle_info,
)
from bertjax.config import FinetuneConfig, to_mapping
from bertjax.finetune import checks, winner
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.degenerate import degenerate_seeds
from bertjax.finetune.experiment import Experiment, Report
from bertjax.finetune.forgetting import (
  Reference,
  make_measure,
  score_forgetting,
)
from bertjax.finetune.grouping import Check
from bertjax.finetune.programs import make_programs
from bertjax.finetune.results import (
  RESULTS,
  ArmResult,
  never_predicted,
  score_calibration,
  score_classes,
)
from bertjax.finetune.results_page import page
from bertjax.finetune.review import Review
from bertjax.finetune.shared_store import SharedTrialStore
from bertjax.finetune.splits import make_split, split_outputs
from bertjax.finetune.start import make_start, with_first_bias
from bertjax.finetune.task import FinetuneTask, Head
from bertjax.finetune.training_batches import training_batches
from bertjax.finetune.trial import TrialInputs
from bertjax.finetune.winner import Winner
from bertjax.parallel import multihost
from bertjax.parallel.mesh import make_mesh
from bertjax.trials.finding import FoundWrong, of_origin
from bertjax.trials.store import Trial

# Fields that say where and how a step is computed. They may change between
# runs of one arm (law 10), but for the digits of its scores.
COMPUTE_FIELDS = (
  "mesh",
  "compute",
  "evaluation_batch_size",
  "checkpoint_steps",
  "runs_at_once",
)
DIGITS = ("dtype", "gradient_dtype", "dropout_rng", "dropout_draws")
# What identities of earlier versions lack.
_NEWER = ("compute.dtype", "compute.gradient_dtype")
# Fields that choose the trials or name the data, whose hashes are compared.
_FREE_FIELDS = (
  *COMPUTE_FIELDS,
  "learning_rates",
  "selection_seeds",
  "seed",
  "seeds",
  "task",
)


@dataclasses.dataclass(frozen=True)
class Arm:
  """Everything that the results of an arm depend on.

  Attributes:
    task: kind of task.
    data: its examples.
    info: the pre-trained bundle. An arm from "scratch" takes its shape and its
      tokenizer, but not its parameters.
    config: how to train.
    init: "bundle" or "scratch".
    tokenizer_sha256: hash of the tokenizer's files.
    reference: text on which trials measure what they have forgotten; None
      measures nothing.
  """

  task: FinetuneTask
  data: TaskData
  info: BundleInfo
  config: FinetuneConfig
  init: str
  tokenizer_sha256: str
  reference: Reference | None = None

  @property
  def steps(self) -> int:
    """Number of steps of a trial."""
    return checks.num_steps(self.config, self.data.splits["train"].num_drawn)

  def _own_draws(self) -> dict[str, str]:
    """Return the kernel that drops attention weights by draws of its own."""
    kernel = self.config.compute.attention
    drops = self.info.model.attention_dropout_rate > 0
    return {"attention": kernel} if kernel == "flash" and drops else {}

  def identity(self) -> dict[str, Any]:
    """Return what must not change between runs in one folder (law 10)."""
    fields = to_mapping(self.config)
    settings = dict(self.data.settings)
    first_bias = list(self.data.first_bias)
    digests = {name: leaf["digest"] for name, leaf in self.info.leaves.items()}
    return {
      **{name: fields[name] for name in fields if name not in _FREE_FIELDS},
      "compute": {
        **{name: fields["compute"][name] for name in DIGITS},
        **self._own_draws(),
      },
      "init": self.init,
      "encoder": to_mapping(self.info.model),
      "weights": digests if self.init == "bundle" else {},
      "tokenizer": self.tokenizer_sha256,
      "labels": list(self.data.labels),
      "examples": {
        name: split.sha256() for name, split in self.data.splits.items()
      },
      **({"settings": settings} if settings else {}),
      # Trials on scores that lack it began at 0, and are other trials.
      **({"first_bias": first_bias} if first_bias else {}),
      # Results without one lack what results with one have.
      **(
        {"reference": dict(self.reference.identity)} if self.reference else {}
      ),
    }

  def run(
    self,
    workdir: str,
    report: Report,
    guard: Callable[[], None],
    stop: Callable[[], bool] = lambda: False,
    show: Callable[[ArmResult, Review], None] = lambda *_: None,
    check: Check = lambda *_: None,
    judge: Callable[[ArmResult], Iterable[FoundWrong]] = lambda _: (),
  ) -> ArmResult:
    """Run the trials that are not done; write results and the best model.

    All processes of a run call this together; process 0 writes, and calls
    `show`.

    Args:
      workdir: gets `results.json`, `results.md` and the bundle `model`.
      report: called for every trial.
      guard: called before anything is written; raises where `workdir` is no
        longer this process's.
      stop: whether a signal asks to stop.
      show: called with the result, and what a report shows beside it, before
        the best model is saved.
      check: called with data, programs and seeds before as many trials train
        at once; it may raise.
      judge: returns what an expert would stop for in data and scores, which
        the files say.

    Raises:
      Stopped: a signal stopped a trial, whose state is saved.
      ValueError: `workdir` belongs to another arm, or every run diverged.
    """
    store = SharedTrialStore(workdir, self.identity(), _NEWER, guard)
    experiment = Experiment(
      self.make_inputs, self.config, store, report, stop, check
    )
    result = self._results(experiment)
    result = dataclasses.replace(result, findings=tuple(judge(result)))
    guard()
    first = multihost.broadcast_from_first
    first("results", lambda: self._write(store.folder, result))
    trial = experiment.winner(result.scores.learning_rate)
    model = store.folder / "model"
    saved = first("model", lambda: _saved(model, trial, result))
    if saved != "these scores":
      # The model stays the best where its scores are those of fewer seeds.
      if saved:
        like = experiment.inputs.programs.abstract.params
        stored = experiment.finished(result.scores.learning_rate)
        dev = stored[trial.settings["seed"]].dev
        best = winner.of_saved(model, like, self.task.tuned, dev)
      else:
        best = winner.of_run(experiment.trained(trial), self.task.tuned)
      review = self._review(experiment, trial, best, result.scored)
      first("report", lambda: show(result, review))
      guard()
      self._save(model, best, trial, result)
    experiment.delete_leftovers()
    return result

  def _write(self, folder: pathlib.Path, result: ArmResult) -> None:
    files.write_json(folder / RESULTS, result.to_json(), allow_nan=False)
    files.write_text(folder / "results.md", page(result, self.task) + "\n")

  def _results(self, experiment: Experiment) -> ArmResult:
    scores = experiment.run()
    scored = "test" if "test" in self.data.splits else "dev"
    finished = experiment.finished(scores.learning_rate)
    runs = list(finished.values())
    names = self.task.class_names(self.data.labels)
    classes = score_classes(names, runs, scored)
    return ArmResult(
      init=self.init,
      task=self.data.name,
      labels=self.data.labels,
      examples={name: len(each) for name, each in self.data.splits.items()},
      steps=self.steps,
      scores=scores,
      scored=scored,
      classes=classes,
      never_predicted=never_predicted(classes, scored),
      calibration=score_calibration(runs),
      degenerate_seeds=degenerate_seeds(finished),
      forgetting=score_forgetting([each.forgetting for each in runs]),
    )

  def _review(
    self, experiment: Experiment, trial: Trial, best: Winner, scored: str
  ) -> Review:
    inputs = experiment.inputs
    split = inputs.test if scored == "test" else inputs.dev
    assert split is not None  # `scored` is one of the data's splits
    seed = trial.settings["seed"]
    runs = experiment.finished(trial.settings["learning_rate"])
    outputs = split_outputs(inputs.programs, best.params, split)
    windows = split.windows.tuned(best.tuned)
    return Review(runs, seed, outputs, windows, best.temperature)

  def make_inputs(self) -> TrialInputs:
    """Make the programs, and put dev and test on the devices."""
    programs = make_programs(
      self.task,
      len(self.data.labels),
      self.info.model,
      self.config,
      self.steps,
      make_mesh(self.config.mesh),
    )
    config = self.config
    splits = {
      name: make_split(
        split,
        programs,
        config.evaluation_batch_size,
        self.data.labels,
        self.data.settings,
      )
      for name, split in self.data.splits.items()
      if name != "train"
    }
    start = programs.initialize
    if self.init == "bundle":
      start = make_start(programs, self.info, config.layers.reinitialized)
    return TrialInputs(
      programs=programs,
      start=with_first_bias(start, self.data.first_bias),
      train=training_batches(
        self.data.splits["train"],
        self.info.model,
        config,
        self.steps,
        programs.mesh,
      ),
      dev=splits["dev"],
      test=splits.get("test"),
      steps=self.steps,
      forgetting=self.reference
      and make_measure(
        self.reference, self.info, programs, splits["dev"], config.compute
      ),
      kept=self._kept,
    )

  @property
  def _kept(self) -> int:
    """How many parameters are on the devices beside those of running trials."""
    config = self.config
    several = max(len(config.learning_rates), config.seeds) > 1
    # Those of the bundle, and the best trial's before. What is forgotten is
    # measured against one more copy of the bundle's.
    return several + (self.init == "bundle") + (self.reference is not None)

  def _save(
    self, folder: pathlib.Path, best: Winner, trial: Trial, result: ArmResult
  ) -> None:
    before = self.info.details.findings if self.init == "bundle" else ()
    found = [*of_origin(before), *(each.sentence for each in result.findings)]
    save_finetuned(
      folder,
      best.params,
      self.info.model,
      self.info.tokenizer_path,
      Head(
        name=self.data.name,
        labels=self.data.labels,
        pooling=self.config.pooling if self.task.pools else "",
        seq_length=self.config.seq_length,
        pair=self.data.pair,
        architecture=self.task.architecture,
        task=self.task.name,
        problem_type=self.task.problem_type,
        temperature=best.temperature,
        settings={**self.data.settings, **best.tuned},
      ),
      tokenizer_files=self.info.tokenizer_files,
      tokenizer_sha256=self.tokenizer_sha256,
      config=to_mapping(self.config),
      init=self.init,
      trial=dict(trial.settings),
      step=best.step,
      evaluation=result.evaluation,
      findings=found or None,
    )


def _saved(folder: pathlib.Path, trial: Trial, result: ArmResult) -> str:
  """Return "these scores" or "other scores" if a trial's model is saved."""
  if not (folder / RECORD).is_file():
    return ""
  details = read_bundle_info(folder).details
  if details.trial != dict(trial.settings):
    return ""
  is_same = details.evaluation == result.evaluation
  return "these scores" if is_same else "other scores"
