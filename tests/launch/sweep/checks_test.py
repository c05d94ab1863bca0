# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from bertjax.sweep import study
from bertjax.sweep.axes import expand
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from launch.preflight.policy import Policy
from launch.sweep.checks import check
from tests.testing import small

POLICY = Policy(allow=frozenset(["random_pairs"]))


def checked(config):
  return check(expand(config), POLICY)


def test_arms_of_other_vocabularies_are_refused(config, place, tmp_path):
  prepare(
    Options(
      corpus=str(place / "corpus.jsonl"),
      output=str(tmp_path / "store"),
      validation="0.2",
      sentences="lines",
      vocab_size=100,
    ),
    lambda *_: None,
  )
  stores = f"data.store={place / 'store'},{tmp_path / 'store'}"
  with pytest.raises(ValueError, match="other vocabularies cannot be compared"):
    checked(dataclasses.replace(config, chosen=("mlm",), grid=stores))


def test_arms_of_equal_length_have_equal_packs(config):
  grid = "data.seq_length=16,12"
  found = checked(dataclasses.replace(config, grid=grid))
  packs = {}
  for arm in found.config.arms:
    run = study.pretrain_config(found.config, arm, 0)
    packs.setdefault(run.data.seq_length, set()).add(run.data.max_packs)
  assert {len(each) for each in packs.values()} == {1}
  assert all("max_packs" in arm["data"] for arm in found.config.arms.values())


def test_an_axis_is_no_part_of_what_trials_share(config):
  one = checked(config).identity
  grid = "optimizer.learning_rate=1e-3,2e-3;finetune.seed=0,1"
  two = checked(dataclasses.replace(config, grid=grid)).identity
  assert one["pretrain"].keys() - two["pretrain"].keys() == {
    "optimizer.learning_rate"
  }
  assert one["finetune"].keys() - two["finetune"].keys() == {"seed"}
  assert "objective.mask_rate" in one["pretrain"]
  assert "objective.next_sentence" not in one["pretrain"]
  chosen = dataclasses.replace(config, chosen=("mlm", "nsp_rows"))
  assert checked(chosen).identity == one


def test_a_mistake_names_its_arm(config):
  grid = "model.num_heads=2,5"
  with pytest.raises(ValueError, match=r"in arm mlm_nsp,num_heads=5, model.nu"):
    checked(dataclasses.replace(config, grid=grid))


def test_the_texts_that_trials_are_scored_on_are_shared(config, place):
  one = checked(config).identity["examples"]
  other = place / "other.jsonl"
  small.write_table(other, small.make_texts(60, 1))
  task = dataclasses.replace(config.finetune.task, train=str(other))
  tuned = dataclasses.replace(config.finetune, task=task)
  two = checked(dataclasses.replace(config, finetune=tuned)).identity
  assert one.keys() == two["examples"].keys()
  assert one != two["examples"]


def test_an_axis_without_effect_is_refused(config):
  grid = "finetune.epochs=1,2"
  with pytest.raises(ValueError, match="epochs is an axis without effect, sin"):
    checked(dataclasses.replace(config, grid=grid))


def test_where_a_head_for_scores_starts_is_shared(config, place):
  path = place / "scores.jsonl"
  rows = [(text, i / 90) for i, (text, _) in enumerate(small.make_texts(90, 2))]
  small.write_table(path, rows)
  task = dataclasses.replace(
    config.finetune.task, train=str(path), target="score", labels_per_class=0
  )
  tuned = dataclasses.replace(config.finetune, task=task, metric="pearson")
  found = checked(dataclasses.replace(config, finetune=tuned)).identity
  assert 0.3 < float(found["examples"]["first_bias"].strip("[]")) < 0.7
  # Studies of classes stay what they were.
  assert "first_bias" not in checked(config).identity["examples"]
