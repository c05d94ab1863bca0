# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The config of a sweep: runs that differ in a few fields and are compared."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bertjax.config.fields import Above, AtLeast, AtMost, ReadWhen, Seed
from bertjax.config.finetune import FinetuneConfig
from bertjax.config.run import PretrainConfig


@dataclasses.dataclass(frozen=True)
class ProbesConfig:
  """What is measured of every pre-trained trial, beside its own validation."""

  # Shares of a trial's steps after which it is probed; 1 is the end, which
  # arms are compared at. Earlier ones make a curve.
  at: tuple[Annotated[float, Above(0), AtMost(1)], ...] = (1.0,)
  # Rows of the validation split that the masked-LM loss of all arms is measured
  # on, whatever rows they train on; 0 measures none.
  shared_rows: Annotated[int, AtLeast(0)] = 0
  # Pairs of texts of the validation split from which a linear classifier of the
  # vectors of the frozen encoder learns which B follows its A: once with others
  # from other documents, once with others from the same one. 0 tries none.
  pairs: Annotated[int, AtLeast(0)] = 0
  # Name → the fields of `finetune` that a task changes; its `task` begins with
  # the defaults. With none, `finetune` itself is the only task.
  tasks: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SweepConfig:
  """Arms that differ in a few fields, over the same seeds.

  An arm is a name and the nested fields that it changes: fields of `pretrain`,
  or of the probe below the key `finetune`. Where `trains` is "finetune" they
  are fields of `finetune`.
  """

  # What a trial does: pre-train from scratch and probe the result by
  # fine-tuning, or fine-tune `bundle`.
  trains: Literal["pretrain", "finetune"] = "pretrain"
  question: str = ""  # what the study asks, for its report
  arms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  # More axes, as "FIELD=VALUE,VALUE;FIELD=VALUE": every arm with every
  # combination of their values. A value of several elements has + between them.
  grid: str = ""
  # The names of the arms that run, or short names of them; () is all.
  chosen: tuple[str, ...] = ()
  # Arms that are as if they were not there unless they are chosen. What all
  # arms share, such as the packs of a row, is then the same with and without
  # them, and a study that was done without them is still done.
  apart: tuple[str, ...] = ()
  # Short name → name of an arm. Folders and results have the arm's own name.
  aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
  # What all arms have as much of as the baseline: steps, as the config gives
  # them; real tokens, special ones included and padding not; or model FLOPs.
  # An arm of other rows then has its own number of steps, and its schedule over
  # those.
  match: Annotated[
    Literal["steps", "tokens", "flops"],
    ReadWhen("trains=pretrain", lambda own, _: own.trains == "pretrain"),
  ] = "steps"
  # The arm that the others are compared with, seed by seed; "" is the first.
  baseline: str = ""
  # The largest differences that do not matter, as "METRIC=VALUE;METRIC=VALUE":
  # arms whose differences are surely smaller are called equivalent.
  margins: str = ""
  # Seed of the first trial of each arm; the others count up from it.
  seed: Seed = 0
  seeds: Annotated[int, AtLeast(1)] = 3
  bundle: Annotated[
    str, ReadWhen("trains=finetune", lambda own, _: own.trains == "finetune")
  ] = ""
  pretrain: PretrainConfig = PretrainConfig()
  # How every trial is probed by fine-tuning.
  finetune: FinetuneConfig = FinetuneConfig()
  probes: ProbesConfig = ProbesConfig()
