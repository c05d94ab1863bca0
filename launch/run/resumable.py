# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A pre-training run in its workdir, restored or new, and its hooks."""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import jax

from bertjax.batch import Batch
from bertjax.checkpoints.bundle import Details, write_bundle
from bertjax.checkpoints.checkpoint import Checkpoints
from bertjax.config import phases, to_mapping
from bertjax.parallel import feeding, multihost, shared_folder
from bertjax.train import hooks, profiling, progress, writers
from bertjax.train.events import Wandb
from bertjax.train.state import TrainState
from bertjax.trials.finding import FoundWrong
from data_pipelines.rows.pipeline import train_iterator
from launch.hosts.watchdog import Watchdog
from launch.run import console
from launch.run.assembly import RunSpec
from launch.run.bundles import bundle_path, bundle_steps, has_bundle
from launch.run.findings import RunFindings, write_findings
from launch.run.origin import CHECKPOINTS, all_findings
from launch.run.ownership import Ownership
from launch.run.phase import PhaseRun
from launch.run.restoring import (
  CONFIG,
  TOKENIZER,
  Start,
  check_record,
  restore,
)
from launch.run.validation import Validation

PROFILE = "profile"
COMMAND = "launch.pretrain"


class Run:
  """A run that is ready to train; `open_run` makes it. Use it as a context.

  Args:
    spec: what the run is made of.
    folder: its workdir.
    checkpoints: checkpoints of the workdir, which the run closes.
    start: where the run starts.
    owner: the hold on the workdir, which the run releases.

  Attributes:
    state: input of the first step.
    hooks: in the order that `loop.train` runs them.
    progress: prints the progress line.
    findings: what an expert would stop for, as far as it is known.
  """

  def __init__(
    self,
    spec: RunSpec,
    folder: pathlib.Path,
    checkpoints: Checkpoints,
    start: Start,
    owner: Ownership,
  ) -> None:
    config, step = spec.config, int(jax.device_get(start.state.step))
    self._spec = spec
    self._folder = folder
    self._checkpoints = checkpoints
    self._start = start
    self._owner = owner
    self.findings: tuple[FoundWrong, ...] = ()
    self._phase = spec.phase(step)
    self.state = start.state
    self._writer = writers.MetricsWriter(
      folder,
      every_steps=config.log_every_steps,
      start=step,
      wandb=_make_wandb(spec, folder),
      writes=multihost.is_first(),
      guard=owner.check_alone,
    )
    self.progress = progress.Progress(
      config.steps,
      console.make_flops_meter(spec),
      shown=console.shown_metrics(config.objective),
      quiet=not multihost.is_first(),
      steps_left=lambda step: phases.steps_left(spec.phases, step),
    )
    self._watchdog = Watchdog(config.hang_minutes)
    self._validation = Validation(
      spec, self._writer, self._say, self._watchdog.beat
    )
    self.hooks = self._make_hooks(step)
    self._open = contextlib.ExitStack()
    self._open.callback(owner.close)
    # After the checkpoints, which a run that is preempted has seconds for.
    self._exit_code = 0
    self._open.callback(lambda: self._writer.disconnect(self._exit_code))
    for each in (checkpoints, *self.hooks):
      self._open.callback(each.close)
    if start.record:
      self._restore(start.record)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
    self.close(exit_code=0 if kind is None else 1)

  def close(self, exit_code: int = 0) -> None:
    """Commit pending checkpoints and close the files, only the first time.

    Args:
      exit_code: 0 where the run came to its end, for wandb.
    """
    self._exit_code = exit_code
    self._open.close()

  def connect(self) -> None:
    """Start the run at wandb, when nothing can refuse the training any more.

    Raises:
      ValueError: wandb refuses.
    """
    if int(jax.device_get(self.state.step)) < self._spec.config.steps:
      place = multihost.broadcast_from_first("wandb", self._writer.connect)
      self._say([f"wandb: {place}"] if place else [])

  def check_owner(self) -> None:
    """Check that the workdir is still this run's; see `Ownership.check`."""
    self._owner.check()

  def beat(self) -> None:
    """Note that something has happened, which takes longer than a step."""
    self._watchdog.beat()

  def add_findings(self, found: Iterable[FoundWrong], step: int = 0) -> None:
    """Hand findings on: in the workdir, and with checkpoints and bundles.

    Args:
      found: more findings, the same on all processes.
      step: the step whose results they judge; 0 before the end.
    """
    self.findings = (*self.findings, *found)
    # What a finished run came to stands until it is judged again.
    if step or self.untrained():
      self.check_owner()
      kept = RunFindings(step, self.findings)
      multihost.broadcast_from_first(
        "findings", lambda: write_findings(self._folder, kept)
      )

  def untrained(self) -> Sequence[PhaseRun]:
    """Return the phases that have steps left."""
    step = int(jax.device_get(self.state.step))
    return [phase for phase in self._phases_left() if phase.stop > step]

  def _phases_left(self) -> Sequence[PhaseRun]:
    return self._spec.phases[self._spec.phases.index(self._phase) :]

  def phases(self) -> Iterator[PhaseRun]:
    """Yield the phases that are left, and evaluate on the rows of each.

    A run that is finished still yields its last phase: hooks may have to run.
    """
    for phase in self._phases_left():
      self._phase = phase
      self._watchdog.begin_phase()
      self._validation.start_phase(phase)
      self._say(console.describe_phase(phase))
      yield phase

  def batches(self, start: int) -> Iterator[Batch]:
    """Return this host's rows of the batches after step `start` of the run."""
    phase = self._phase
    data = phase.config.data
    return train_iterator(
      phase.pipeline,
      start - phase.start,
      workers=data.workers,
      prefetch=data.prefetch,
      rows=feeding.local_rows(self._spec.program.mesh, phase.config.batch_size),
    )

  def details(self, step: int) -> Details:
    """Return the details of a bundle of step `step`."""
    return Details(
      config={
        **to_mapping(self._spec.config),
        # A resumed run may name another path.
        "init_from": self._start.origin.get("path", ""),
      },
      step=step,
      tokens=self._writer.tokens,
      evaluation=dict(self._validation.hook.values),
      **self._spec.describe_stores(),
      tokenizer_sha256=self._spec.identity["tokenizer"],
      pooler_trained=self._start.pooler_trained,
      findings=all_findings(self._start.origin, self.findings),
      origin=self._start.origin or None,
    )

  def write_bundle(
    self, target: pathlib.Path, params: Any, details: Details
  ) -> None:
    """Write a bundle, if the workdir is still this run's."""
    self.check_owner()
    write_bundle(
      target,
      params,
      self._spec.config.model,
      self._folder / TOKENIZER,
      dataclasses.replace(details, written_by=COMMAND),
      self._start.tokenizer_files,
    )

  def describe_start(self) -> None:
    """Print config, mesh and notes before the first step."""
    spec, step = self._spec, int(jax.device_get(self.state.step))
    self._say(console.describe_config(spec, self._folder / CONFIG))
    self._say(console.describe_mesh(spec.program, self.state.params))
    self._say(console.describe_start(spec, step))

  def _make_hooks(self, start: int) -> list[hooks.Hook]:
    config = self._spec.config
    made: list[hooks.Hook] = [hooks.CheckFinite(), self._writer, self.progress]
    made.append(self._watchdog)
    if self._spec.phases[0].evaluates:
      made.append(self._validation.hook)
    # Before the checkpoint, so that a run that goes on from there has it.
    if steps := bundle_steps(config):
      made.append(hooks.AtSteps(self._write_on_the_way, steps.values()))
    made.append(hooks.Checkpoint(self._save, config.checkpoint, start=start))
    if config.profile.start_step and multihost.is_first():
      folder = self._folder / PROFILE
      made.append(profiling.Profile(folder, config.profile, self.progress.say))
    return made

  def _restore(self, record: Any) -> None:
    # A memo of phase 1 has no effect where phase 2 starts.
    self._phase.pipeline.restore(record["pipeline"])
    hooks.restore_snapshots(self.hooks, record["hooks"])

  def _save(self, state: TrainState, step: int) -> None:
    self.check_owner()
    record = {
      **self.details(step).to_json(),
      "identity": dict(self._start.identity),
      "tokenizer_files": dict(self._start.tokenizer_files),
      "pipeline": self._memo(step - self._phase.start),
      "hooks": hooks.take_snapshots(self.hooks),
    }
    self._checkpoints.save(state, step, record)

  def _write_on_the_way(self, state: TrainState, step: int) -> None:
    """Write the bundle of a step, unless an earlier call has written it."""
    if not has_bundle(self._folder, step):
      target = bundle_path(self._folder, step)
      self.write_bundle(target, state.params, self.details(step))

  def _memo(self, step: int) -> dict[str, Any]:
    # Each process knows only its own rows; process 0 saves the facts of all.
    memo = self._phase.pipeline.memo(step)
    facts = merge_facts(multihost.all_gather("memo", memo["facts"]))
    return {**memo, "facts": facts}

  def _say(self, lines: Iterable[str]) -> None:
    for line in lines:
      self.progress.say(line)


def open_run(spec: RunSpec, folder: pathlib.Path) -> Run:
  """Open a run in its workdir, restored from there if it was begun.

  Raises:
    ValueError: the workdir is of another run, or in use by one, or hosts do
      not share it.
  """
  folder.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as on_error:
    owner = on_error.enter_context(Ownership(folder))
    shared_folder.check_shared(folder)
    # Before the folder is taken: a start that is refused stops no other run.
    check_record(spec, folder)
    owner.take()
    if owner.wait_for_save(folder / CHECKPOINTS):
      check_record(spec, folder)  # of the checkpoint that is new
    checkpoints = Checkpoints(folder / CHECKPOINTS, spec.config.checkpoint)
    on_error.callback(checkpoints.close)
    start = restore(spec, folder, checkpoints)
    run = Run(spec, folder, checkpoints, start, owner)
    on_error.pop_all()
  run.describe_start()
  return run


def _make_wandb(spec: RunSpec, folder: pathlib.Path) -> Wandb | None:
  chosen = spec.config.wandb
  if not chosen.project:
    return None
  return Wandb(chosen, folder, to_mapping(spec.config))


def merge_facts(facts_of_all: Iterable[list[list[int]]]) -> list[list[int]]:
  """Merge the facts of several pipelines: the furthest of each lane stays.

  The last two numbers of a fact, its visit and row, say how far it is.
  """
  ordered = sorted(itertools.chain(*facts_of_all))
  return [*{tuple(fact[:-2]): fact for fact in ordered}.values()]
