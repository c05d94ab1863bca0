# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a whole pre-training run."""

from bertjax.config import PAIR_FORMATS, PretrainConfig, check_read, check_types
from bertjax.config.checks.dropout import check_dropout
from bertjax.config.checks.learning import check_objective, check_optimizer
from bertjax.config.checks.mesh import check_mesh
from bertjax.config.checks.model import check_model, check_pairs
from bertjax.config.data import BERT_FRAME, Frame
from bertjax.config.names import PHASE2, PRETRAINING
from bertjax.config.phases import Phase, split_optimizer, split_phases

# A row's share that is an example of one token of text, by its tokens.
_SHARES = {2: "half", 3: "a third", 4: "a quarter"}


def check_pretrain(
  config: PretrainConfig,
  *,
  num_devices: int,
  vocab_size: int,
  frame: Frame = BERT_FRAME,
) -> None:
  """Check a config against itself, the devices and the vocabulary.

  Args:
    config: with `model.vocab_size` and the accumulation filled in.
    num_devices: the devices of the mesh.
    vocab_size: tokens of the store's vocabulary.
    frame: special tokens that the store's tokenizer puts around texts.

  Raises:
    ValueError: the first mistake found, with its value and the fix.
  """
  check_types(config)
  check_read(config)
  check_dropout(config)
  check_schedules(config)
  for phase in split_phases(config):
    _check_shape(phase, num_devices, vocab_size, frame)
  check_objective(config.objective)
  if config.objective.next_sentence != "off" and not config.model.pooler:
    raise ValueError(
      f"objective.next_sentence={config.objective.next_sentence} has its head "
      "on the pooler, and model.pooler=False; give model.pooler=True, or "
      "objective.next_sentence=off"
    )
  start = config.profile.start_step
  if start > config.steps:
    raise ValueError(
      f"profile.start_step={start} is after the last of steps={config.steps}; "
      f"give 1 to {config.steps}, or 0 to trace none"
    )


def check_segments(
  config: PretrainConfig, *, between: int, second_type: int
) -> None:
  """Refuse pairs whose segments nothing tells apart.

  Args:
    config: config of the run.
    between: special tokens that the store's tokenizer puts between segments.
    second_type: type of the second segment.

  Raises:
    ValueError: the format makes pairs, and no token stands between segments
      nor has the model a type for each.
  """
  form = config.objective.input_format
  if form in PAIR_FORMATS:
    check_pairs(
      config.model,
      f"objective.input_format={form}",
      between=between,
      second_type=second_type,
      fix="objective.input_format=full_sentences",
    )


def check_schedules(config: PretrainConfig) -> None:
  """Check how a run is cut into phases, and their schedules.

  Raises:
    ValueError: a second phase that is longer than the run, or a warm-up or a
      decay that does not fit into the steps of its schedule.
  """
  second = config.phase2
  if second.steps >= config.steps:
    raise ValueError(
      f"phase2.steps={second.steps} of steps={config.steps}; give 0 for one "
      "phase, or fewer than all steps"
    )
  schedules = split_optimizer(config.optimizer, second, config.steps)
  for (optimizer, steps), names in zip(
    schedules, (PRETRAINING, PHASE2), strict=False
  ):
    check_optimizer(optimizer, steps, names)


def _check_shape(
  phase: Phase, num_devices: int, vocab_size: int, frame: Frame
) -> None:
  """Check the rows of a phase against model, mesh and tokenizer."""
  config, names = phase.config, phase.names
  length, packs = config.data.seq_length, config.data.max_packs
  check_model(
    config.model, seq_length=length, vocab_size=vocab_size, names=names
  )
  if length < frame.shortest_row:
    raise ValueError(
      f"{names.seq_length}={length}; give {frame.shortest_row} or more, "
      f"because this tokenizer puts {frame.two} special tokens around two texts"
    )
  least = frame.shortest_example
  if packs > length // least:
    share = _SHARES.get(least, f"1/{least}")
    raise ValueError(
      f"{names.max_packs}={packs}; give 1 to {length // least}, {share} of "
      f"{names.seq_length}, or 0 to have it chosen"
    )
  check_mesh(
    config.mesh,
    config.model,
    num_devices=num_devices,
    batch_size=config.batch_size,
    accumulation=config.optimizer.accumulation,
    names=names,
  )
