# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a user can get wrong, told in one line before anything is compiled.

Nothing here imports JAX, so that a launcher checks before it starts a device.
"""

import math
from collections.abc import Collection

from bertjax.config import (
  INPUT_FORMATS,
  NEXT_SENTENCE,
  OPTIMIZERS,
  PAIR_FORMATS,
  SCHEDULES,
  ComputeConfig,
  MeshConfig,
  ModelConfig,
  ObjectiveConfig,
  OptimizerConfig,
  PretrainConfig,
  to_mapping,
)

ACTIVATIONS = ("gelu", "gelu_tanh")
POSITION_INITS = ("normal", "sinusoid")
DTYPES = ("float32", "bfloat16")
REMATS = ("none", "dots", "full")
DROPOUT_RNGS = ("threefry", "rbg")


def mesh_shape(config: MeshConfig, num_devices: int) -> tuple[int, int, int]:
  """Return (data, fsdp, tensor) with "all that are left" filled in.

  Raises:
    ValueError: the axes cannot multiply to `num_devices`.
  """
  sizes = (config.data, config.fsdp, config.tensor)
  text = f"mesh data={sizes[0]} fsdp={sizes[1]} tensor={sizes[2]}"
  if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
    raise ValueError(
      f"{text}: give sizes of 1 or more, and -1 for at most one axis"
    )
  known = math.prod(size for size in sizes if size != -1)
  if num_devices % known or (-1 not in sizes and known != num_devices):
    raise ValueError(
      f"{text} does not divide {num_devices} devices; give axes whose product "
      f"is {num_devices}, or -1 for one of them"
    )
  data, fsdp, tensor = (
    num_devices // known if size == -1 else size for size in sizes
  )
  return data, fsdp, tensor


def check_pretrain(
  config: PretrainConfig, *, num_devices: int, vocab_size: int
) -> None:
  """Check everything about a run that its config and its store tell.

  Args:
    config: with `model.vocab_size` as it will be built.
    num_devices: that the mesh is laid over.
    vocab_size: pieces of the store's tokenizer.

  Raises:
    ValueError: the first mistake found, with its value and the fix.
  """
  _at_least(1, "steps", config.steps)
  _at_least(1, "batch_size", config.batch_size)
  _at_least(1, "log_every_steps", config.log_every_steps)
  check_seed(config.seed)
  check_model(
    config.model, seq_length=config.data.seq_length, vocab_size=vocab_size
  )
  check_objective(config.objective)
  if (
    config.objective.input_format in PAIR_FORMATS
    and config.model.type_vocab_size < 2
  ):
    raise ValueError(
      f"model.type_vocab_size={config.model.type_vocab_size}; "
      f"{config.objective.input_format} tells two sentences apart: give 2"
    )
  _between(0, 1, "evaluation.mask_rate", config.evaluation.mask_rate)
  check_optimizer(config.optimizer, config.steps)
  check_compute(config.compute)
  _at_least(0, "checkpoint.every_steps", config.checkpoint.every_steps)
  _at_least(1, "checkpoint.keep_last", config.checkpoint.keep_last)
  _at_least(
    0, "checkpoint.keep_every_steps", config.checkpoint.keep_every_steps
  )
  _at_least(0, "evaluation.every_steps", config.evaluation.every_steps)
  _at_least(0, "evaluation.batches", config.evaluation.batches)
  _at_least(0, "data.workers", config.data.workers)
  _at_least(1, "data.prefetch", config.data.prefetch)
  check_mesh(
    config.mesh,
    config.model,
    num_devices=num_devices,
    batch_size=config.batch_size,
    accumulation=config.optimizer.accumulation,
  )


def check_seed(seed: int) -> None:
  """Check that a seed is one that every backend takes.

  Raises:
    ValueError: it is negative or needs more than 31 bits.
  """
  if not 0 <= seed < 2**31:
    raise ValueError(f"seed={seed}; give 0 to {2**31 - 1}")


def check_model(
  model: ModelConfig, *, seq_length: int, vocab_size: int
) -> None:
  """Check a model against the rows that it is to read.

  Raises:
    ValueError: sizes that do not fit each other, the rows or the vocabulary.
  """
  for name in (
    "num_layers",
    "hidden_size",
    "num_heads",
    "intermediate_size",
    "max_positions",
    "type_vocab_size",
  ):
    _at_least(1, f"model.{name}", to_mapping(model)[name])
  if model.hidden_size % model.num_heads:
    raise ValueError(
      f"model.num_heads={model.num_heads} does not divide "
      f"model.hidden_size={model.hidden_size}; give a divisor of it"
    )
  if seq_length > model.max_positions:
    raise ValueError(
      f"data.seq_length={seq_length} is beyond the position table; give at "
      f"most model.max_positions={model.max_positions}, or raise that"
    )
  if vocab_size > model.vocab_size:
    raise ValueError(
      f"model.vocab_size={model.vocab_size} is smaller than the store's "
      f"vocabulary of {vocab_size}; give at least that, or 0 to follow the "
      "store"
    )
  _one_of(ACTIVATIONS, "model.activation", model.activation)
  _one_of(POSITION_INITS, "model.position_init", model.position_init)
  for name in ("hidden_dropout_rate", "attention_dropout_rate"):
    rate = to_mapping(model)[name]
    if not 0.0 <= rate < 1.0:
      raise ValueError(f"model.{name}={rate}; give 0 or more, and less than 1")


def check_objective(objective: ObjectiveConfig) -> None:
  """Check what is predicted, and from which rows.

  Raises:
    ValueError: an unknown name, a combination that does not exist, or a rate
      outside its range.
  """
  form, task = objective.input_format, objective.next_sentence
  _one_of(INPUT_FORMATS, "objective.input_format", form)
  _one_of(NEXT_SENTENCE, "objective.next_sentence", task)
  if task != "off" and form not in PAIR_FORMATS:
    raise ValueError(
      f"objective.next_sentence={task} needs pairs, and input_format={form} "
      f"has none; give {' or '.join(PAIR_FORMATS)}, or next_sentence=off"
    )
  _between(0, 1, "objective.mask_rate", objective.mask_rate)
  split = objective.mask_token_rate + objective.random_token_rate
  rates = (objective.mask_token_rate, objective.random_token_rate)
  if min(rates) < 0 or split > 1 + 1e-9:
    raise ValueError(
      f"objective.mask_token_rate={rates[0]} and random_token_rate={rates[1]}; "
      "give shares that add up to at most 1"
    )
  if not 0 <= objective.short_rate <= 1:
    raise ValueError(
      f"objective.short_rate={objective.short_rate}; give 0 to 1"
    )
  _at_least(0, "objective.next_sentence_weight", objective.next_sentence_weight)


def check_optimizer(optimizer: OptimizerConfig, steps: int) -> None:
  """Check an optimizer's names and numbers.

  Raises:
    ValueError: an unknown name, a number out of range, or a warm-up longer
      than the run.
  """
  _one_of(OPTIMIZERS, "optimizer.name", optimizer.name)
  _one_of(SCHEDULES, "optimizer.schedule", optimizer.schedule)
  if not 0 <= optimizer.warmup_steps <= steps:
    raise ValueError(
      f"optimizer.warmup_steps={optimizer.warmup_steps} of steps={steps}; give "
      f"0 to {steps}"
    )
  for name in ("learning_rate", "clip_norm", "epsilon"):
    value = to_mapping(optimizer)[name]
    if not 0 < value < math.inf:
      raise ValueError(f"optimizer.{name}={value}; give more than 0")
  for name in ("beta1", "beta2"):
    value = to_mapping(optimizer)[name]
    if not 0 <= value < 1:
      raise ValueError(f"optimizer.{name}={value}; give 0 or more, less than 1")
  _at_least(0, "optimizer.weight_decay", optimizer.weight_decay)
  _at_least(1, "optimizer.accumulation", optimizer.accumulation)


def check_compute(compute: ComputeConfig) -> None:
  """Check how a step is computed.

  Raises:
    ValueError: an unknown name.
  """
  _one_of(DTYPES, "compute.dtype", compute.dtype)
  _one_of(REMATS, "compute.remat", compute.remat)
  _one_of(DROPOUT_RNGS, "compute.dropout_rng", compute.dropout_rng)
  _at_least(1, "compute.unroll", compute.unroll)


def check_mesh(
  mesh: MeshConfig,
  model: ModelConfig,
  *,
  num_devices: int,
  batch_size: int,
  accumulation: int = 1,
) -> None:
  """Check that a mesh divides devices, batch and model.

  Raises:
    ValueError: it does not, naming what, and the fix.
  """
  data, fsdp, tensor = mesh_shape(mesh, num_devices)
  parts = data * fsdp * accumulation
  if batch_size % parts:
    raise ValueError(
      f"batch_size={batch_size} is not a multiple of mesh data × fsdp × "
      f"optimizer.accumulation = {data} × {fsdp} × {accumulation} = {parts}; "
      f"give {max(1, batch_size // parts) * parts}"
    )
  for axis, size, name, value in (
    ("tensor", tensor, "model.num_heads", model.num_heads),
    ("tensor", tensor, "model.intermediate_size", model.intermediate_size),
    ("tensor", tensor, "model.vocab_size", model.vocab_size),
    ("fsdp", fsdp, "model.hidden_size", model.hidden_size),
  ):
    if value % size:
      raise ValueError(
        f"mesh.{axis}={size} does not divide {name}={value}; give a divisor, "
        f"such as {math.gcd(size, value)}"
      )


def padded_vocab_size(vocab_size: int) -> int:
  """Return the rows of an embedding table for so many pieces.

  A multiple of 128: matrix units work in tiles, and ragged ones cost more.
  """
  return -(-vocab_size // 128) * 128


def _one_of(known: Collection[str], name: str, value: str) -> None:
  if value not in known:
    raise ValueError(f"{name}={value!r}; give one of {', '.join(known)}")


def _at_least(least: int, name: str, value: float) -> None:
  if not least <= value < math.inf:
    raise ValueError(f"{name}={value}; give {least} or more")


def _between(low: float, high: float, name: str, value: float) -> None:
  if not low < value < high:
    raise ValueError(
      f"{name}={value}; give a rate between {low} and {high}, such as 0.15"
    )
