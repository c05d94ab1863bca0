# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge a pre-training run before its first step is compiled.

What cannot work at all is a `ValueError` of `bertjax.config.checks`. This
module judges what works and ruins the result.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from bertjax.config import OptimizerConfig, choices
from bertjax.config.checks.kernels import platform_of
from bertjax.objectives.masking import continued_share
from bertjax.parallel import multihost
from launch.hosts.clocks import measure_skew
from launch.preflight.attention import judge_windows
from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy
from launch.preflight.rows import judge_pairs
from launch.preflight.settle import settle, write_record
from launch.preflight.store import judge_store, measure_store
from launch.run.assembly import RunSpec
from launch.run.bundles import bundle_steps
from launch.run.origin import CHECKPOINTS
from launch.run.phase import PhaseRun

# At least three times the largest learning rates of configs/recipes, and of
# Ettin's smallest encoder: AdamW's is 7e-4, StableAdamW's 3e-3, LAMB's 6e-3 at
# 64 k rows, and Muon's 4e-3 with updates scaled to AdamW's size. Small
# models train with higher rates than large ones. These are bounds of
# experience, which nothing here has measured.
_LARGEST_RATES = {
  "adamw": 3e-3,
  "adamw_corrected": 3e-3,
  "stable_adamw": 1e-2,
  "lamb": 2e-2,
  "muon": 2e-2,
}
assert set(_LARGEST_RATES) == set(choices(OptimizerConfig, "name"))


def check_run(
  spec: RunSpec, folder: pathlib.Path, policy: Policy
) -> list[Finding]:
  """Settle the findings of a run, on process 0 for all; nothing is written.

  Returns:
    The findings; [] on all processes but 0.

  Raises:
    ValueError: a finding fails that `policy` does not allow.
  """
  found = [judge_clocks(measure_skew(), policy)]

  def check() -> None:
    found.extend(judge_run(spec, folder, policy))
    settle(found, policy)

  multihost.broadcast_from_first("preflight", check)
  return found if multihost.is_first() else []


def record_run(
  folder: pathlib.Path, findings: Iterable[Finding], policy: Policy
) -> None:
  """Store in the workdir of a run what the user allowed, if anything."""
  if policy.allow and multihost.is_first():
    write_record(folder, findings, policy)


def judge_run(
  spec: RunSpec, folder: pathlib.Path, policy: Policy
) -> list[Finding]:
  """Judge stores, rows, schedule and disk of a run.

  Args:
    spec: the run.
    folder: its workdir, which may not exist yet.
    policy: limits and levels that the user set.
  """
  return [*judge_recipe(spec, policy), judge_disk(spec, folder, policy)]


def judge_recipe(spec: RunSpec, policy: Policy) -> list[Finding]:
  """Judge stores, rows and schedule of a run, whatever its folder."""
  return [
    *_judge_stores(spec, policy),
    *_judge_phases(spec, policy),
    *_judge_words(spec, policy),
    *_judge_schedule(spec.config.optimizer, spec.config.steps, policy),
  ]


def _judge_stores(spec: RunSpec, policy: Policy) -> Iterator[Finding]:
  for member in spec.stores.mixture.members:
    for finding in judge_store(measure_store(member.store), policy):
      if spec.stores.is_mixture:
        text = f"in store {member.name}, {finding.text}"
        yield dataclasses.replace(finding, text=text)
      else:
        yield finding


def _judge_phases(spec: RunSpec, policy: Policy) -> Iterator[Finding]:
  epochs = 0.0
  for phase in spec.phases:
    report = phase.pipeline.report()
    where = f"rows of {phase.config.data.seq_length} tokens"
    if phase.config.objective.next_sentence == "nsp":
      yield judge_pairs(report["random_share"], where, policy)
    yield from _judge_rows(report, where, policy)
    platform = platform_of(spec.program.mesh.devices.flat[0])
    yield from judge_windows(phase.config, platform, policy)
    epochs += _epochs(phase)
  yield judge(
    "epochs",
    epochs,
    f"the run reads its text {epochs:.1f} times, so that it may learn the text "
    "by heart",
    "prepare more text, or give fewer --config.steps, and compare training "
    "and validation loss",
    policy,
  )
  copies = spec.config.objective.static_copies
  if copies:
    yield judge(
      "repeated_masks",
      epochs / copies,
      f"the run reads its text {epochs:.1f} times and has {copies} copies of "
      "it, so that no mask is seen twice: its masks are as those of dynamic "
      "masking",
      "give more --config.steps, or fewer --config.objective.static_copies",
      policy,
    )


def _judge_words(spec: RunSpec, policy: Policy) -> Iterator[Finding]:
  # Spans and n-grams of words that are tokens are still units of several.
  if spec.config.objective.mask_unit != "word":
    return
  counts_V = spec.stores.mixture.token_counts(spec.config.batch_size)
  share = continued_share(spec.program.vocabulary, counts_V)
  yield judge(
    "continued_words",
    share,
    f"{share:.2%} of the tokens of the text continue a word, so that "
    "objective.mask_unit=word masks what token masks",
    "set --config.objective.mask_unit=token, or =ngram for several words, or "
    "prepare the text with a --tokenizer that cuts words",
    policy,
  )


def _epochs(phase: PhaseRun) -> float:
  return phase.pipeline.epoch(phase.stop - phase.start)


def _judge_rows(
  report: Mapping[str, float], where: str, policy: Policy
) -> Iterator[Finding]:
  filled, cut = report["efficiency"], report["truncated_share"]
  yield judge(
    "filled_rows",
    filled,
    f"only {filled:.1%} of the positions in {where} hold tokens",
    "give a shorter --config.data.seq_length, or leave --config.data.max_packs "
    "at 0, which packs several examples into a row",
    policy,
  )
  yield judge(
    "cut_tokens",
    cut,
    f"{cut:.1%} of the tokens are cut off in {where}",
    "give a longer --config.data.seq_length, or another "
    "--config.objective.input_format",
    policy,
  )
  rows = report["rows_of_a_block"]
  yield judge(
    "few_lanes",
    rows,
    f"{rows:,.0f} of the {where} of a step come from one block of a store, "
    f"and all of them from {report['lanes']:.0f} blocks, so that steps "
    "differ in their text",
    "give a smaller --config.batch_size",
    policy,
  )


def _judge_schedule(
  optimizer: OptimizerConfig, steps: int, policy: Policy
) -> Iterator[Finding]:
  largest = _LARGEST_RATES[optimizer.name]
  yield judge(
    "learning_rate",
    optimizer.learning_rate / largest,
    f"optimizer.learning_rate={optimizer.learning_rate:g} is above "
    f"{largest:g}, and the recipes stay well below that with "
    f"optimizer.name={optimizer.name}",
    f"give --config.optimizer.learning_rate={largest:g} or less",
    policy,
  )
  share = optimizer.warmup_steps / steps
  yield judge(
    "warmup_share",
    share,
    f"the learning rate rises during {share:.0%} of the run, "
    f"optimizer.warmup_steps={optimizer.warmup_steps} of steps={steps}",
    "give fewer --config.optimizer.warmup_steps; BERT's are 1 % of the steps",
    policy,
  )


def judge_clocks(seconds: float, policy: Policy) -> Finding:
  """Judge the seconds between the clocks of the hosts of a run."""
  return judge(
    "clock_skew",
    seconds,
    f"the clocks of the hosts are {seconds:.0f} s apart: their logs and files "
    "do not tell what came first, and a bucket may refuse their credentials",
    "run an NTP client such as chrony on every host",
    policy,
  )


def judge_disk(spec: RunSpec, folder: pathlib.Path, policy: Policy) -> Finding:
  """Judge whether the checkpoints of a run fit on the disk of its workdir."""
  config = spec.config
  size = _state_bytes(spec)
  kept = config.checkpoint.keep_last
  if config.checkpoint.keep_every_steps:
    kept += config.steps // config.checkpoint.keep_every_steps
  on_the_way = len(bundle_steps(config))
  # One more is written before the oldest is deleted.
  needed = size * (kept + 1) + _params_bytes(spec) * on_the_way
  bundles = f" and {on_the_way} bundles" * (on_the_way > 0)
  # What a run has saved already is among them.
  free = free_bytes(folder) + _bytes_below(folder / CHECKPOINTS)
  return judge(
    "disk_space",
    needed / max(free, 1),
    f"{kept + 1} checkpoints of {size / 1e9:.2f} GB{bundles} need "
    f"{needed / 1e9:.2f} GB, and the disk of {folder} has {free / 1e9:.2f} GB "
    "for them",
    "give another --workdir, or a smaller --config.checkpoint.keep_last",
    policy,
  )


def free_bytes(folder: pathlib.Path) -> int:
  """Return the free bytes of the disk that has or will have a folder."""
  place = folder.absolute()
  while not place.exists():
    place = place.parent
  return shutil.disk_usage(place).free


def _bytes_below(folder: pathlib.Path) -> int:
  total = 0
  for place, _, names in os.walk(folder):
    for name in names:
      # Another run may delete a checkpoint meanwhile; the lock comes later.
      with contextlib.suppress(FileNotFoundError):
        total += (pathlib.Path(place) / name).lstat().st_size
  return total


def _state_bytes(spec: RunSpec) -> int:
  return _tree_bytes(spec.program.abstract_state())


def _params_bytes(spec: RunSpec) -> int:
  return _tree_bytes(spec.program.abstract_state().params)


def _tree_bytes(tree: Any) -> int:
  leaves = jax.tree.leaves(tree)
  return sum(
    int(np.prod(leaf.shape)) * _item_size(leaf.dtype) for leaf in leaves
  )


def _item_size(dtype: np.dtype) -> int:
  # Keys of random numbers have a dtype of JAX, which says its size as well.
  return int(getattr(dtype, "itemsize", 8))
