# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A pre-training run in its workdir: restored or new, and what acts on it."""

import contextlib
import dataclasses
import itertools
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax

from bertjax.batch import Batch
from bertjax.checkpoints import bundle, checkpoint, resize, transfer
from bertjax.config import identity, phases, to_mapping
from bertjax.objectives import losses
from bertjax.parallel import feeding, multihost, shared_folder
from bertjax.train import hooks, progress, writers
from bertjax.train.state import TrainState
from data_pipelines.rows.pipeline import train_iterator
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import find_parts
from launch.run.assembly import Parts
from launch.run.layout import describe_layout
from launch.run.meter import make_meter, shown_metrics
from launch.run.phase import VALIDATION, Phase, describe_stores
from launch.run.validation import describe_values, make_evaluate

CHECKPOINTS = "checkpoints"
TOKENIZER = "tokenizer"
PROFILE = "profile"


class Run:
  """A context: the state and its hooks, and the files behind them.

  Attributes:
    state: restored from the workdir, or from `init_from`, or new.
    hooks: in the order that `loop.train` runs them.
    progress, writer: two of these.
    pooler_trained: whether a pair loss has reached the pooler.
  """

  def __init__(self, parts: Parts, folder: pathlib.Path) -> None:
    self._parts = parts
    self._folder = folder
    folder.mkdir(parents=True, exist_ok=True)
    shared_folder.check_shared(folder)
    self._checkpoints = checkpoint.Checkpoints(
      folder / CHECKPOINTS, parts.config.checkpoint
    )
    self._open = contextlib.ExitStack()
    self._open.callback(self._checkpoints.close)
    self._phase = parts.phases[0]
    self._evaluate_phase: Callable[[Any], Mapping[str, float]] | None = None

  def __enter__(self) -> "Run":
    try:
      return self._start()
    except BaseException:
      self.close()
      raise

  def __exit__(self, *_: object) -> None:
    self.close()

  def close(self) -> None:
    """Commit what is being saved, and close the files; once is enough."""
    self._open.close()

  def _start(self) -> "Run":
    parts, config = self._parts, self._parts.config
    before = self._checkpoints.latest_record()
    if before is not None:
      identity.check_identity(
        before["identity"], parts.identity, allow_changes=config.allow_changes
      )
    multihost.broadcast_from_first(
      "tokenizer",
      lambda: keep_tokenizer(
        parts.store.tokenizer_path,
        self._folder / TOKENIZER,
        parts.identity["tokenizer"],
      ),
    )
    abstract = parts.program.abstract_state()
    restored = self._checkpoints.restore(abstract)
    record: Mapping[str, Any] = {}
    if restored is not None:
      self.state, record = restored
    else:
      self.state = self._new_state()
    self.pooler_trained = self._pooler_trained(record)
    start = int(jax.device_get(self.state.step))
    self._phase = parts.phase(start)
    if record:
      # Of another phase, where this one starts: then nothing is taken over.
      self._phase.pipeline.restore(record["pipeline"])
    self._make_hooks(start)
    for hook in self.hooks:
      self._open.callback(hook.close)
      if record:
        hook.restore(record["hooks"])
    self._tell(start)
    return self

  def _new_state(self) -> TrainState:
    parts = self._parts
    state = parts.program.make_state()
    origin = parts.origin
    if origin is None:
      return state
    before = resize.shapes_before(state.params, origin.model.vocab_size)
    params = resize.resize_embeddings(
      bundle.load_params(origin, like=before),
      state.params,
      find_parts(
        parts.store.tokenizer_path, origin.details["tokenizer_sha256"]
      ),
    )
    return dataclasses.replace(
      state, params=transfer.graft(state.params, params)
    )

  def _pooler_trained(self, record: Mapping[str, Any]) -> bool:
    if losses.has_pair_loss(self._parts.config.objective):
      return True
    if record:
      return record["pooler_trained"]
    return self._parts.origin is not None and self._parts.origin.pooler_trained

  def _make_hooks(self, start: int) -> None:
    parts, config = self._parts, self._parts.config
    self.writer = writers.MetricsWriter(
      self._folder,
      every_steps=config.log_every_steps,
      start=start,
      writes=multihost.is_first(),
    )
    self.progress = progress.Progress(
      config.steps,
      make_meter(parts),
      shown=shown_metrics(config),
      quiet=not multihost.is_first(),
      steps_left=lambda step: phases.steps_left(parts.phases, step),
    )
    self.hooks: list[hooks.Hook] = [
      hooks.CheckFinite(),
      self.writer,
      self.progress,
    ]
    self.evaluation: hooks.Evaluate | None = None
    if parts.phases[0].evaluation:
      self.evaluation = hooks.Evaluate(
        self._evaluate,
        self._report,
        every_steps=config.evaluation.every_steps,
        settings=to_mapping(config.evaluation),
      )
      self.hooks.append(self.evaluation)
    self.hooks.append(
      hooks.Checkpoint(self._save, config.checkpoint, start=start)
    )
    if config.profile.start_step and multihost.is_first():
      profile = hooks.Profile(
        self._folder / PROFILE, config.profile, self.progress.say
      )
      self.hooks = [profile, *self.hooks, profile.starter()]

  def phases(self) -> Iterator[Phase]:
    """Yield the phases that are left, and evaluate on the rows of each.

    At least one: a run that is finished has hooks left to run.
    """
    for phase in self._parts.phases[self._parts.phases.index(self._phase) :]:
      self._phase = phase
      self._evaluate_phase = None
      self._tell_rows()
      yield phase

  def batches(self, start: int) -> Iterator[Batch]:
    """Return the batches from step `start` of the run on, of this host."""
    phase = self._phase
    data = phase.config.data
    return train_iterator(
      phase.pipeline,
      start - phase.start,
      workers=data.workers,
      prefetch=data.prefetch,
      rows=feeding.local_rows(
        self._parts.program.mesh, phase.config.batch_size
      ),
    )

  def details(self, step: int) -> dict[str, Any]:
    """Return what a bundle says of the run at `step`."""
    evaluation = {} if self.evaluation is None else dict(self.evaluation.values)
    return {
      "config": to_mapping(self._parts.config),
      "step": step,
      "tokens": self.writer.tokens,
      "evaluation": evaluation,
      **describe_stores(self._parts.mixture, self._parts.phases),
      "tokenizer_sha256": self._parts.identity["tokenizer"],
      "pooler_trained": self.pooler_trained,
    }

  def _save(self, state: TrainState, step: int) -> None:
    snapshots: dict[str, Any] = {}
    for hook in self.hooks:
      snapshots |= hook.snapshot()
    record = {
      **self.details(step),
      "identity": dict(self._parts.identity),
      "pipeline": self._memo(step - self._phase.start),
      "hooks": snapshots,
    }
    self._checkpoints.save(state, step, record)

  def _memo(self, step: int) -> dict[str, Any]:
    # Each process knows of the rows that it feeds, and tells process 0.
    memo = self._phase.pipeline.memo(step)
    return {**memo, "facts": merge(multihost.all_gather("memo", memo["facts"]))}

  def _evaluate(self, params: Any) -> Mapping[str, float]:
    if self._evaluate_phase is None:
      self._evaluate_phase = make_evaluate(self._parts, self._phase)
    return self._evaluate_phase(params)

  def _report(self, step: int, values: Mapping[str, float]) -> None:
    length = {}
    if len(self._parts.phases) > 1:  # losses at two lengths do not compare
      length["seq_length"] = self._phase.config.data.seq_length
    self.writer.write(step, VALIDATION, {**length, **values})
    for number, line in enumerate(describe_values(values)):
      self.progress.say(
        line if number else f"validation at step {step}: {line}"
      )

  def _tell(self, start: int) -> None:
    config, say = self._parts.config, self.progress.say
    for line in describe_layout(self._parts.program, self.state.params):
      say(line)
    if self.evaluation is None:
      say("the store has no validation split: nothing is evaluated")
    if start:
      say(f"going on from step {start} of {config.steps}")
    if start >= config.profile.start_step > 0:
      say(f"profile.start_step={config.profile.start_step} is done: no trace")

  def _tell_rows(self) -> None:
    for line in self._phase.describe_rows():
      self.progress.say(line)


def merge(told: Iterable[list[list[int]]]) -> list[list[int]]:
  """Merge facts of pipelines; of each lane the furthest stays.

  The last two numbers of a fact, its visit and row, say how far.
  """
  return [*{tuple(f[:-2]): f for f in sorted(itertools.chain(*told))}.values()]


def keep_tokenizer(
  source: pathlib.Path, target: pathlib.Path, sha256: str
) -> None:
  """Have the store's tokenizer at `target`, whole, whatever is there now."""
  with contextlib.suppress(ValueError, OSError):
    if tokenizers.load(target).sha256 == sha256:
      return
  partial = target.with_name(target.name + ".partial")
  shutil.rmtree(partial, ignore_errors=True)
  shutil.copytree(source, partial)
  shutil.rmtree(target, ignore_errors=True)
  partial.rename(target)
