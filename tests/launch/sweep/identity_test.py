# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from bertjax.config import (
  ComputeConfig,
  ProbesConfig,
  SweepConfig,
  from_mapping,
)
from bertjax.sweep.axes import expand
from bertjax.sweep.study import make_trials
from configs.sweeps import masking
from launch.preflight.policy import Policy
from launch.sweep import __main__ as sweep
from launch.sweep.checks import check
from launch.sweep.identity import make_identity, open_store

POLICY = Policy(allow=frozenset(["random_pairs"]))


def checked(config):
  return check(expand(config), POLICY)


def with_base(config, **objective):
  """The study of masks in the small: arms of other axes than the change."""
  arms = {
    "token": {},
    "random": {"objective": {"random_token_rate": 0.2}},
    "nsp": {"objective": {"next_sentence": "nsp"}},
  }
  base = dataclasses.replace(
    config.pretrain.objective, next_sentence="off", **objective
  )
  run = dataclasses.replace(config.pretrain, objective=base)
  return dataclasses.replace(config, arms=arms, baseline="token", pretrain=run)


def test_what_an_arm_takes_from_the_base_is_shared(config):
  """The settings of `token` do not have the rate that another arm changes."""
  one = checked(with_base(config)).identity
  other = checked(with_base(config, random_token_rate=0.05)).identity
  assert one["base"]["pretrain.objective.random_token_rate"] == 0.1
  assert other["base"]["pretrain.objective.random_token_rate"] == 0.05
  lighter = checked(with_base(config, next_sentence_weight=0.5)).identity
  assert lighter != one, "the arm `nsp` alone reads it"
  assert one["match"] == "steps"


def of_masks(config, **changes):
  """The study of configs/sweeps/masking.py, in the small."""
  given = from_mapping(SweepConfig, masking.get_config().to_dict())
  objective = given.pretrain.objective
  run = dataclasses.replace(config.pretrain, objective=objective)
  small = dataclasses.replace(
    given, pretrain=run, finetune=config.finetune, seeds=2
  )
  return dataclasses.replace(small, **changes)


def test_objectives_of_families_leave_a_study_of_masks_as_it_is(config):
  """Their rows would change the packs that all arms share."""
  done = {**masking.ARMS, **masking.MORE_ARMS}
  before = checked(of_masks(config, arms=done, apart=()))
  after = checked(of_masks(config))
  assert after.identity == before.identity
  assert {arm: part.identity for arm, part in after.parts.items()} == {
    arm: part.identity for arm, part in before.parts.items()
  }
  assert after.config.arms == before.config.arms


def test_a_dry_run_shows_the_objective_of_every_family(
  config, tmp_path, capsys
):
  names = ("token", "ngram", "rate15", *masking.FAMILIES)
  study = of_masks(config, chosen=names, match="tokens")
  run = dataclasses.replace(study.pretrain, steps=2_000)
  study = dataclasses.replace(study, pretrain=run)
  sweep.dry_run(study, str(tmp_path / "work"), POLICY)
  text = capsys.readouterr().out
  for name in names:
    assert f"trial {name}-seed1" in text
  for line in (
    "objective.mask_unit",
    "objective.mask_token_rate",
    "objective.next_sentence",
    "ngram: albert, ngram",
  ):
    assert line in text


def test_an_arm_that_is_added_may_change_what_all_arms_shared(config, tmp_path):
  """The rate of the base is no default, and not what runs once had."""
  base = with_base(config, mask_rate=0.4)
  old, folder = checked(base).identity, str(tmp_path)
  more = {"rate15": {"objective": {"mask_rate": 0.15}}}
  added = dataclasses.replace(
    base, arms={**base.arms, **more}, chosen=tuple(base.arms)
  )
  new = checked(added).identity
  assert old["pretrain"]["objective.mask_rate"] == 0.4
  assert new["base"]["pretrain.objective.mask_rate"] == 0.4
  for first, then in ((old, new), (new, old)):
    place = f"{folder}/{'rate' * (first is new)}"
    open_store(place, first)
    open_store(place, then)
  run = with_base(config, mask_rate=0.3).pretrain
  other = checked(dataclasses.replace(added, pretrain=run)).identity
  with pytest.raises(
    ValueError, match=r"base\.pretrain\..*rate=0\.4, not 0\.3"
  ):
    open_store(f"{folder}/", other)


def test_more_arms_of_masks_change_nothing_of_a_study_that_is_done(
  config, tmp_path
):
  def study(arms):
    made = with_base(config, mask_rate=0.4)
    return dataclasses.replace(made, arms=arms, chosen=tuple(masking.ARMS))

  before = checked(study(masking.ARMS))
  after = checked(study({**masking.ARMS, **masking.MORE_ARMS}))
  open_store(tmp_path, before.identity)
  open_store(tmp_path, after.identity)
  assert make_trials(after.config) == make_trials(before.config)


def test_only_the_kernel_with_draws_of_its_own_makes_another_study(config):
  def identity(kernel):
    compute = ComputeConfig(attention=kernel)
    own = {"own": {"compute": {"attention": kernel}}}
    return make_identity(
      dataclasses.replace(
        config,
        finetune=dataclasses.replace(config.finetune, compute=compute),
        probes=ProbesConfig(tasks=own),
      ),
      {},
      {},
    )

  xla, splash, flash = map(identity, ("xla", "splash", "flash"))
  assert xla == splash
  assert flash["finetune"] == {**xla["finetune"], "compute.attention": "flash"}
  assert flash["probes"] != xla["probes"]
