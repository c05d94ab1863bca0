# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run that evaluates other stores beside its own."""

import dataclasses
import pathlib
from typing import Any

import pytest

from bertjax.checkpoints import bundle
from bertjax.config import DataConfig
from bertjax.train import writers
from launch import pretrain
from launch.run import assembly
from tests.testing.interrupted import pretrain_until

pytestmark = pytest.mark.usefixtures("one_device", "shared_programs")


@pytest.fixture(scope="module")
def plain(mixture, stores):
  data = DataConfig(store=stores["wiki"], seq_length=24)
  return dataclasses.replace(mixture, data=data)


@pytest.fixture(scope="module")
def config(plain, stores):
  """The plain run, and the tickets beside it."""
  evaluation = dataclasses.replace(
    plain.evaluation, stores=f"old={stores['tickets']}"
  )
  return dataclasses.replace(plain, evaluation=evaluation)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
  return pretrain.run(config, str(tmp_path_factory.mktemp("run") / "w"))


def test_values_of_a_further_store_have_its_name_everywhere(
  finished, plain, tmp_path, capsys
):
  alone = pretrain.run(plain, str(tmp_path))
  assert " old: " not in capsys.readouterr().out
  values = finished.validation
  own = {name for name in values if "/" not in name}
  assert {name: values[name] for name in own} == alone.validation
  assert values.keys() == own | {f"{name}/old" for name in own}
  assert values["mlm_loss/old"] != values["mlm_loss"]
  workdir = pathlib.Path(finished.workdir)
  last = writers.read(workdir / writers.METRICS, "validation")[-1]
  assert {name: last[name] for name in values} == values
  details: Any = bundle.read_bundle_info(finished.bundle).details
  assert details.evaluation == values


def test_a_stopped_run_goes_on_to_the_same_bytes(
  finished, config, tmp_path, capsys
):
  pretrain_until(3, config, tmp_path)
  pretrain.run(config, str(tmp_path))
  left = pathlib.Path(finished.workdir) / writers.METRICS
  assert (tmp_path / writers.METRICS).read_bytes() == left.read_bytes()
  assert "\n  old: loss " in capsys.readouterr().out


def test_further_stores_are_no_part_of_the_identity(config, plain):
  ours, theirs = (assembly.assemble(each) for each in (config, plain))
  assert ours.identity == theirs.identity
  assert list(ours.phases[0].further) == ["old"]
  assert not theirs.phases[0].further


def test_a_store_without_validation_still_evaluates_another(config, stores):
  data = DataConfig(store=stores["notes"], seq_length=24)
  spec = assembly.assemble(dataclasses.replace(config, data=data))
  assert not spec.phases[0].evaluation
  assert spec.phases[0].evaluates


def test_a_wrong_store_is_told_before_anything_compiles(
  plain, tmp_path, monkeypatch
):
  monkeypatch.setattr("launch.run.assembly.make_program", None)
  evaluation = dataclasses.replace(
    plain.evaluation, stores=str(tmp_path / "absent")
  )
  config = dataclasses.replace(plain, evaluation=evaluation)
  with pytest.raises(ValueError, match="absent") as caught:
    pretrain.run(config, str(tmp_path / "w"))
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "w").exists()
