# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Probe the trials of a study: measure bundles, and change none.

A trial is probed when it is trained, at its end and at the bundles that it has
kept on the way. What a probe has found is written at once, so that a trial that
was killed measures nothing twice.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import PretrainConfig, SweepConfig
from bertjax.files import write_json
from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.sweep import study
from bertjax.train import progress
from bertjax.trials.store import Trial
from launch import finetune
from launch.preflight.policy import Policy
from launch.run.bundles import bundle_path, bundle_steps
from launch.sweep.examples import (
  SUFFIX,
  Found,
  probe_metric,
  read_tuned,
  step_folder,
)
from launch.sweep.frozen import Measure, make_probes
from launch.sweep.kept import ONLY


class Point(NamedTuple):
  """A bundle of a trial that is probed.

  Attributes:
    share: of the steps of the trial.
    step: the step.
    bundle: folder of the bundle.
    last: whether it is the end of the run.
  """

  share: float
  step: int
  bundle: str
  last: bool


class Measured(NamedTuple):
  """What a probe measures.

  Attributes:
    trial: the trial.
    point: the bundle.
    folder: a folder for what the probe has to keep.
  """

  trial: Trial
  point: Point
  folder: pathlib.Path


def with_bundles(run: PretrainConfig, at: Sequence[float]) -> PretrainConfig:
  """Return a run that keeps a bundle for each share that it is probed at."""
  earlier = tuple(share for share in at if share < 1)
  if not earlier:
    return run
  checkpoint = dataclasses.replace(run.checkpoint, bundles_at=earlier)
  return dataclasses.replace(run, checkpoint=checkpoint)


def points(run: PretrainConfig, workdir: str, bundle: str) -> list[Point]:
  """Return the bundles of a run that are probed; the last is that of its end.

  Args:
    run: a run of `with_bundles`.
    workdir: its folder.
    bundle: the bundle of its end.
  """
  earlier = [
    Point(share, step, str(bundle_path(workdir, step)), last=False)
    for share, step in bundle_steps(run).items()
  ]
  return [*earlier, Point(1.0, run.steps, bundle, last=True)]


def tuned_folder(trial: pathlib.Path, point: Point, name: str) -> pathlib.Path:
  """Return where a trial keeps what a probe of a bundle writes.

  Args:
    trial: folder of the trial.
    point: the bundle.
    name: of the probe; "" for the only task.
  """
  if point.last and not name:
    return trial / ONLY
  return step_folder(trial, point.step) / (name or ONLY)


def share_name(share: float) -> str:
  """Return a share of the steps as results name it."""
  return f"{share:g}"


class Probing:
  """The probes of a study; programs that they compile serve all trials.

  Args:
    config: the config that runs.
    policy: limits of the checks, and which may fail.
    guard: raises where the folder of the study is another process's now.
    tell: takes the name of a trial, and how far it is.
  """

  def __init__(
    self,
    config: SweepConfig,
    policy: Policy,
    guard: Callable[[], None] = lambda: None,
    tell: Callable[[str, str], None] = lambda *_: None,
  ) -> None:
    self.config = config
    self.policy = policy
    self.tell = tell
    self._guard = guard
    self._frozen: dict[str, Measure] | None = None

  def measure(
    self, trial: Trial, folder: pathlib.Path, point: Point
  ) -> dict[str, float]:
    """Return {metric: value} of a bundle; what is measured is not repeated.

    Args:
      trial: the trial.
      folder: its folder.
      point: one of its bundles.
    """
    found: dict[str, float] = {}
    place = step_folder(folder, point.step)
    for name, run in self._probes():
      path = place / f"{name or ONLY}.json"
      if not path.is_file():
        own = tuned_folder(folder, point, name)
        with self._telling(trial, name or ONLY, point):
          values, examples = run(Measured(trial, point, own))
        self._guard()
        if examples:
          write_json(path.with_suffix(SUFFIX), dict(examples), allow_nan=False)
        write_json(path, dict(values), allow_nan=False)
      found |= json.loads(path.read_bytes())
    if not point.last:
      found |= _validation(point)
    return found

  @contextlib.contextmanager
  def _telling(self, trial: Trial, name: str, point: Point) -> Iterator[None]:
    """Tell that a probe runs, and how far its fine-tuning is."""
    what = f"probe {name}" + ("" if point.last else f" at step {point.step:,}")
    self.tell(trial.name, what)
    with progress.told_to(
      lambda line: self.tell(trial.name, f"{what}  {line}")
    ):
      yield

  def _probes(
    self,
  ) -> Iterator[tuple[str, Callable[[Measured], Found]]]:
    """Yield the name of each probe, and what runs it."""
    for name in study.probe_tasks(self.config):
      yield name, functools.partial(self._tune, name)
    if self._frozen is None:
      self._frozen = make_probes(self.config)
    for name, measure in self._frozen.items():
      # A dot is in no name of a task.
      yield f"frozen.{name}", functools.partial(_measure_frozen, measure)

  def _tune(self, name: str, measured: Measured) -> Found:
    """Return the score of a task on test, over the seeds of fine-tuning."""
    arm, seed = (measured.trial.settings[each] for each in ("arm", "seed"))
    tuned = study.finetune_config(self.config, arm, seed, name)
    found = finetune.run(
      tuned, measured.point.bundle, str(measured.folder), policy=self.policy
    )
    score, metric = probe_metric(tuned, name)
    kept = read_tuned(measured.folder, found, score)
    return Found(
      {metric: found.scores.test[score].mean}, {metric: kept} if kept else {}
    )


def _measure_frozen(measure: Measure, measured: Measured) -> Found:
  return measure(read_bundle_info(measured.point.bundle))


def _validation(point: Point) -> dict[str, float]:
  """Return the validation of a bundle on rows of its own kind."""
  values = read_bundle_info(point.bundle).details.evaluation
  return {name: values[name] for name in SUMMARY_METRICS if name in values}
