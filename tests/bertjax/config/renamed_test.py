# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Old names are read where they are stored and refused where they are typed."""

import pytest

from bertjax.config import (
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
  ("path", "value", "told"),
  [
    ("random_pieces", "all", "objective.random_pieces is now objective.rand"),
    ("mask_unit", "piece", "objective.mask_unit=piece is now .*=token"),
  ],
)
def test_an_old_name_is_refused_with_the_new_one(path, value, told, capsys):
  with pytest.raises(ValueError, match=told):
    from_mapping(PretrainConfig, {"objective": {path: value}})
  with pytest.raises(ValueError, match=told):
    common.fields({f"objective.{path}": value})
  given = f"--config.pretrain.objective.{path}={value}"
  with pytest.raises(SystemExit):
    cli._parse(["launch", given], "", takes_rest=False)
  assert "error: --config.pretrain.objective." in capsys.readouterr().err
