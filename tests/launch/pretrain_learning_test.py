# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A few hundred steps learn more than how often each token occurs."""

import pytest

from bertjax.config import (
  CheckpointConfig,
  EvaluationConfig,
  FinetuneConfig,
  FinetuneOptimizerConfig,
  OptimizerConfig,
  TaskConfig,
)
from launch import finetune, pretrain
from tests.testing import corpus

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("one_device")]
STEPS = 300


@pytest.fixture(scope="module", name="trained")
def _trained(store, one_device, tmp_path_factory):
  config = corpus.make_config(
    store,
    steps=STEPS,
    batch_size=16,
    log_every_steps=50,
    optimizer=OptimizerConfig(
      name="adamw_corrected", learning_rate=5e-3, warmup_steps=30
    ),
    checkpoint=CheckpointConfig(every_steps=0),
    evaluation=EvaluationConfig(every_steps=0, rows=0),
  )
  return pretrain.run(config, str(tmp_path_factory.mktemp("learning") / "run"))


def test_the_masked_loss_ends_below_the_unigram_entropy(trained):
  """Half of a sentence follows from its form: `the X VERB a Y.`

  A model that knew the form, and no more, would have (2 ln 9 + ln 4) / 6 nats
  a token, which is 0.96; the unigram entropy is about 2.
  """
  values = trained.validation
  assert values["mlm_loss"] < values["unigram_entropy"] - 0.5, values
  assert values["mlm_loss"] > 0.7, "there is no more to know: something leaks"


def test_a_toy_task_is_learned_from_it(trained, tmp_path):
  """Which kind of thing a sentence is about, with verbs that are new."""
  kinds = {"fish": corpus.NOUNS[:4], "tree": corpus.NOUNS[4:8]}
  *verbs, unseen, unheard = corpus.VERBS
  paths = {}
  for split, each in {
    "train": verbs,
    "dev": [unseen],
    "test": [unheard],
  }.items():
    lines = [
      f"the {noun} {verb} a hill.,{kind}"
      for kind, nouns in kinds.items()
      for noun in nouns
      for verb in each
    ]
    path = tmp_path / f"{split}.csv"
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    paths[split] = str(path)
  config = FinetuneConfig(
    task=TaskConfig(kind="table", **paths),
    optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
    seq_length=16,
    batch_size=8,
    steps=200,
    seeds=2,
    evaluations=2,
    learning_rates=(5e-3,),
  )
  result = finetune.run(config, trained.bundle, str(tmp_path / "probe"))
  assert result.scores.test["accuracy"].mean > 0.95
