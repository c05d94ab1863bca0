# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fine-tuning run that cannot work is refused in one line."""

import dataclasses

import pytest

from bertjax.config import (
  ComputeConfig,
  FinetuneConfig,
  FinetuneOptimizerConfig,
  LayersConfig,
  LossConfig,
  TaskConfig,
)
from bertjax.finetune import checks, question_answering, regression
from bertjax.finetune.classification import TASK
from tests.testing import small

CONFIG = FinetuneConfig(
  batch_size=8, evaluation_batch_size=16, seq_length=12, learning_rates=(1e-3,)
)
VOCABULARY = small.MODEL.vocab_size


def test_f1_is_that_of_two_classes():
  checks.check_metric("f1", ("no", "yes"))
  checks.check_metric("accuracy", ("a", "b", "c"))
  with pytest.raises(ValueError, match=r"metric='f1' .* the task has 3; give"):
    checks.check_metric("f1", ("a", "b", "c"))


@pytest.mark.parametrize(
  ("task", "known"),
  [
    (question_answering.TASK, "question_answering reads label_smoothing; give"),
    (regression.TASK, "regression reads no field of loss; give 0"),
  ],
)
def test_a_loss_that_a_task_does_not_have_is_refused(task, known):
  config = dataclasses.replace(CONFIG, loss=LossConfig(focal_exponent=2.0))
  with pytest.raises(
    ValueError, match=f"loss.focal_exponent=2.0 has no effect: {known}"
  ):
    checks.check_config(config, task, small.MODEL, VOCABULARY)


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"seq_length": 17}, "seq_length=17 is beyond the 16 positions"),
    ({"learning_rates": ()}, "learning_rates="),
    ({"learning_rates": (1e-3, -1.0)}, r"learning_rates\[1\]=-1.0; give"),
    ({"learning_rates": (1e-3, 1e-3)}, "twice"),
    ({"metric": "f2"}, "metric='f2'; classification has accuracy, macro_f1"),
    ({"seeds": 0}, "seeds=0; give 1 or more"),
    ({"layers": LayersConfig(frozen=9)}, "layers.frozen=9, and this encoder"),
    (
      {"layers": LayersConfig(frozen=1, reinitialized=2)},
      "layers.frozen=1 and layers.reinitialized=2 overlap",
    ),
    (
      {"layers": LayersConfig(reinitialized=9)},
      "layers.reinitialized=9, and this encoder",
    ),
    (
      {"layers": LayersConfig(frozen=1, frozen_embeddings=True)},
      "layers.frozen_embeddings=True is read only with layers.frozen=0",
    ),
    ({"layers": LayersConfig(learning_rate_decay=0.0)}, "learning_rate_decay"),
    ({"steps": 0, "epochs": 0.0}, "epochs=0.0"),
    ({"warmup_rate": 1.0}, "warmup_rate=1.0"),
    (
      {
        "optimizer": dataclasses.replace(FinetuneOptimizerConfig(), name="adam")
      },
      "optimizer.name='adam'",
    ),
    ({"pooling": "max"}, "pooling='max'; give one of"),
    (
      {"compute": dataclasses.replace(ComputeConfig(), dtype="fp16")},
      "compute.dtype='fp16'",
    ),
    (
      {"compute": dataclasses.replace(ComputeConfig(), remat="some")},
      "compute.remat='some'",
    ),
    (
      {"compute": ComputeConfig(dropout_rng="rbg"), "runs_at_once": 2},
      "runs_at_once=2, and dropout of .*'rbg' .*; give 'threefry'",
    ),
    ({"seed": -1}, "seed=-1; give 0"),
    ({"task": TaskConfig(seed=-1)}, "seed=-1; give 0"),
    (
      {"task": dataclasses.replace(TaskConfig(), kind="poem")},
      "task.kind='poem'; give one of",
    ),
  ],
)
def test_a_config_that_cannot_be_is_one_line(changes, words):
  checks.check_config(CONFIG, TASK, small.MODEL, VOCABULARY)
  config = dataclasses.replace(CONFIG, **changes)
  with pytest.raises(ValueError, match=words) as caught:
    checks.check_config(config, TASK, small.MODEL, VOCABULARY)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  "changes",
  [
    {"learning_rate_decay": 0.9},
    {"frozen": 1},
    {"reinitialized": 1},
    {"unfreezing_rate": 0.5},
  ],
)
def test_layers_that_share_weights_cannot_move_apart(changes):
  shared = dataclasses.replace(small.MODEL, layer_groups=1)
  ((name, value),) = changes.items()
  for layers in (LayersConfig(), LayersConfig(frozen_embeddings=True)):
    checks.check_config(
      dataclasses.replace(CONFIG, layers=layers), TASK, shared, VOCABULARY
    )
  config = dataclasses.replace(CONFIG, layers=LayersConfig(**changes))
  checks.check_config(config, TASK, small.MODEL, VOCABULARY)
  with pytest.raises(
    ValueError, match=f"^layers.{name}={value} tells layers apart, and those of"
  ):
    checks.check_config(config, TASK, shared, VOCABULARY)


def test_a_vocabulary_beyond_the_table_is_refused():
  with pytest.raises(ValueError, match="33 tokens and the encoder's table 32"):
    checks.check_config(CONFIG, TASK, small.MODEL, VOCABULARY + 1)


def test_pooling_of_a_task_that_pools_nothing_is_refused():
  tags = dataclasses.replace(TASK, name="tags", pools=False)
  config = dataclasses.replace(CONFIG, pooling="mean")
  checks.check_config(config, TASK, small.MODEL, VOCABULARY)
  with pytest.raises(ValueError, match="tags pools nothing; give 'cls'"):
    checks.check_config(config, tags, small.MODEL, VOCABULARY)


@pytest.mark.parametrize(
  ("shards", "changes", "words"),
  [
    (8, {"batch_size": 12}, r"^batch_size=12 .*fsdp = 8; give a multiple of 8"),
    (16, {"batch_size": 16, "evaluation_batch_size": 24}, "^evaluation_batch_"),
    (
      4,
      {"optimizer": FinetuneOptimizerConfig(accumulation=3)},
      "batch_size=8 .* 4 shards × optimizer.accumulation=3",
    ),
  ],
)
def test_batches_that_shards_do_not_divide_are_refused(shards, changes, words):
  checks.check_shards(CONFIG, shards=8)
  config = dataclasses.replace(CONFIG, **changes)
  with pytest.raises(ValueError, match=words):
    checks.check_shards(config, shards)


def test_epochs_are_whole_batches_rounded_up():
  config = dataclasses.replace(CONFIG, epochs=1.5)
  assert checks.num_steps(config, 33) == 7  # 49.5 examples in batches of 8
  assert checks.num_steps(dataclasses.replace(config, steps=3), 33) == 3


@pytest.mark.parametrize("name", ["frozen", "reinitialized"])
def test_layers_of_random_parameters_are_neither_frozen_nor_made_anew(name):
  config = FinetuneConfig(
    layers=dataclasses.replace(LayersConfig(), **{name: 1})
  )
  checks.check_layers(config, "bundle")
  with pytest.raises(ValueError, match=f"layers.{name}=1 is for the layers of"):
    checks.check_layers(config, "scratch")
