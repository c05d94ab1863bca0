# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Old names are read where they are stored and refused where they are typed."""

import pytest

from bertjax.config import (
  FinetuneConfig,
  PretrainConfig,
  from_mapping,
  renamed,
  to_mapping,
)
from bertjax.config.identity import check_identity, identity
from bertjax.trials.store import TrialStore
from configs import common
from launch import cli

OLD = {"random_pieces": "all", "mask_unit": "piece", "mask_rate": 0.2}
NEW = {"random_tokens": "all", "mask_unit": "token", "mask_rate": 0.2}


@pytest.mark.parametrize(
  ("old", "new"),
  [
    ({"objective": OLD}, {"objective": NEW}),
    (
      {"arms": {"mlm": {"objective": OLD}}},
      {"arms": {"mlm": {"objective": NEW}}},
    ),
    (
      {f"pretrain.objective.{name}": value for name, value in OLD.items()},
      {f"pretrain.objective.{name}": value for name, value in NEW.items()},
    ),
    ({"task": {"mask_unit": "piece"}}, {"task": {"mask_unit": "piece"}}),
    ({"anobjective.random_pieces": 1}, {"anobjective.random_pieces": 1}),
    (
      {"evaluation": {"batches": 2, "every_steps": 5}},
      {"evaluation": {"every_steps": 5}},
    ),
    ({"pretrain.evaluation.batches": 2}, {}),
  ],
)
def test_a_stored_mapping_gets_the_names_of_today(old, new):
  assert renamed.current(old) == new
  assert renamed.current(new) == new


def test_names_of_today_are_fields():
  known = to_mapping(PretrainConfig())
  for now in (*renamed.FIELDS.values(), *renamed.VALUES):
    group, name = now.split(".")
    assert name in known[group]


def test_an_old_identity_is_the_same_run():
  new = identity(PretrainConfig(), store_sha256="a", tokenizer_sha256="b")
  old = dict(new)
  old["objective.random_pieces"] = old.pop("objective.random_tokens")
  old["objective.mask_unit"] = "piece"
  check_identity(old, new, allow_changes="")
  with pytest.raises(ValueError, match="is now allow_changes=objective"):
    check_identity(old, new, allow_changes="objective.random_pieces")


def test_an_old_ledger_is_the_same_study(tmp_path):
  TrialStore(tmp_path, {"arms": {"mlm": {"objective": OLD}}})
  TrialStore(tmp_path, {"arms": {"mlm": {"objective": NEW}}})
  other = {**NEW, "random_tokens": "ordinary"}
  with pytest.raises(ValueError, match=r"random_tokens='all', not 'ordinary'"):
    TrialStore(tmp_path, {"arms": {"mlm": {"objective": other}}})


@pytest.mark.parametrize(
  ("path", "value", "message"),
  [
    ("random_pieces", "all", "objective.random_pieces is now objective.rand"),
    ("mask_unit", "piece", "objective.mask_unit=piece is now .*=token"),
  ],
)
def test_an_old_name_is_refused_with_the_new_one(path, value, message, capsys):
  with pytest.raises(ValueError, match=message):
    from_mapping(PretrainConfig, {"objective": {path: value}})
  with pytest.raises(ValueError, match=message):
    common.fields({f"objective.{path}": value})
  given = f"--config.pretrain.objective.{path}={value}"
  with pytest.raises(SystemExit):
    cli._parse(["launch", given], "", takes="flags", renamed_flags={})
  assert "error: --config.pretrain.objective." in capsys.readouterr().err


def test_a_number_of_batches_is_refused_with_the_field_to_give(capsys):
  message = "evaluation.batches is no field any more; give .*evaluation.rows"
  with pytest.raises(ValueError, match=message):
    from_mapping(PretrainConfig, {"evaluation": {"batches": 2}})
  with pytest.raises(ValueError, match=message):
    common.fields({"evaluation.batches": 2})
  for place in ("config", "config.pretrain"):
    flag = f"--{place}.evaluation.batches=2"
    with pytest.raises(SystemExit):
      cli._parse(["launch", flag], "", takes="flags", renamed_flags={})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --{place}.evaluation.batches is no field")
    assert line.endswith(f"give --{place}.evaluation.rows, a number of rows")


OPTIMIZER = {"name": "adamw_corrected", "beta1": 0.9}
NEVER_READ = {"learning_rate": 1e-4, "warmup_steps": 10_000}


@pytest.mark.parametrize("place", ["", "finetune"])
def test_a_ledger_with_fields_that_were_never_read_is_the_same(tmp_path, place):
  def identity_of(optimizer):
    probe = {"optimizer": optimizer, "pooling": "cls", "warmup_rate": 0.1}
    return {place: probe} if place else probe

  TrialStore(tmp_path, identity_of({**OPTIMIZER, **NEVER_READ}))
  TrialStore(tmp_path, identity_of(OPTIMIZER))
  with pytest.raises(ValueError, match=r"beta1=0\.9, not 0\.8"):
    TrialStore(tmp_path, identity_of({**OPTIMIZER, "beta1": 0.8}))


def test_a_pretraining_config_keeps_its_rate_and_warmup():
  stored = to_mapping(PretrainConfig())
  assert renamed.current(stored) == stored


def test_an_old_config_of_fine_tuning_is_read():
  stored = to_mapping(FinetuneConfig())
  stored["optimizer"] |= NEVER_READ
  made = from_mapping(FinetuneConfig, renamed.current(stored))
  assert made == FinetuneConfig()
