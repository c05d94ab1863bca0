# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuned classifier on disk: a bundle that knows its labels."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.checkpoints.bundle import (
  BundleInfo,
  Details,
  load_params,
  read_bundle_info,
  write_bundle,
)
from bertjax.checkpoints.transfer import graft
from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune.programs import Programs
from bertjax.interop.architectures import CLASSIFICATION
from bertjax.model import BertForSequenceClassification
from bertjax.model.parameters import heads
from bertjax.train.state import TrainState


@dataclasses.dataclass(frozen=True)
class Classifier:
  """A model that tells labels of texts.

  Attributes:
    model: call it with encoder features for `logits_BC`.
    params: its parameters.
    labels: the name of each class.
    seq_length: pieces that it was trained on.
    pair: whether it takes two texts.
    tokenizer_path: folder of the tokenizer's files.
  """

  model: BertForSequenceClassification
  params: Any
  labels: tuple[str, ...]
  seq_length: int
  pair: bool
  tokenizer_path: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Head:
  """What a fine-tuned model adds to its encoder, JSON-able.

  Attributes:
    name: of the task.
    labels: the name of each class; none for spans.
    pooling: what a text's classes are told from; "" where pieces have them.
    seq_length: pieces that a text is cut to.
    pair: whether it reads two texts.
    architecture: the class of transformers with the same head.
  """

  name: str
  labels: tuple[str, ...]
  pooling: str
  seq_length: int
  pair: bool
  architecture: str = CLASSIFICATION


def make_start(
  programs: Programs, info: BundleInfo, pooling: str
) -> Callable[[int], TrainState]:
  """Return seed → a state with the bundle's weights and a fresh head.

  A pooler that no loss has reached is as good as a random one, and is made
  anew with the head (design: `pooler_trained: false`).

  Raises:
    ValueError: the bundle's weights do not fit, both sides named (law 9).
  """
  source = load_params(info, programs.abstract.params)
  keeps_pooler = pooling == "cls" and info.details.pooler_trained
  skip = heads(programs.abstract.params, source)
  if not keeps_pooler:
    skip += ("pooler",)

  def start(seed: int) -> TrainState:
    state = programs.initialize(seed)
    params = graft(state.params, source, skip=skip)
    # A copy, because the first step consumes the state, and `source` with it.
    params = jax.tree.map(jnp.copy, params)
    return TrainState(state.step, params, state.opt_state)

  return start


def save_classifier(
  path: pathlib.Path,
  params: Any,
  encoder: ModelConfig,
  head: Head,
  details: Mapping[str, Any],
) -> None:
  """Write a classifier as a bundle, or replace the one at `path`.

  Args:
    path: the folder.
    params: of a `BertForSequenceClassification`.
    encoder: its shape.
    head: what it adds.
    details: JSON-able, beside the head; `tokenizer_path` says which
      tokenizer's files to copy.
  """
  details = dict(details)
  write_bundle(
    path,
    params,
    encoder,
    details.pop("tokenizer_path"),
    Details(
      **details,
      pooler_trained=head.pooling == "cls",
      task=dataclasses.asdict(head),
    ),
  )


def load_classifier(
  path: str, compute: ComputeConfig | None = None
) -> Classifier:
  """Read a classifier that fine-tuning has written.

  Raises:
    ValueError: no bundle, one that is no classifier, or a damaged one.
  """
  info = read_bundle_info(path)
  if info.details.task is None:
    raise ValueError(
      f"{path} is no classifier; launch.finetune writes one to WORKDIR/model"
    )
  head = Head(**info.details.task)
  if head.architecture != CLASSIFICATION:
    raise ValueError(
      f"{path} is a {head.architecture}, which labels no texts; "
      "launch.export takes it back to transformers"
    )
  model = BertForSequenceClassification(
    info.model,
    compute or ComputeConfig(),
    num_classes=len(head.labels),
    pooling=head.pooling,
  )
  return Classifier(
    model=model,
    params=load_params(info),
    labels=tuple(head.labels),
    seq_length=head.seq_length,
    pair=head.pair,
    tokenizer_path=info.tokenizer_path,
  )
