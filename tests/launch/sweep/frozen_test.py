# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import jax
import pytest

from bertjax.checkpoints.bundle import read_bundle_info
from bertjax.config import MeshConfig, ProbesConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.sweep.axes import expand
from launch.sweep import __main__ as sweep
from launch.sweep.frozen import (
  PROBES,
  make_probes,
  open_probe_store,
  probe_store_sha256,
)
from tests.testing import small

METRICS = {
  "shared_mlm_loss",
  "shared_mlm_accuracy",
  "follows_same_document_accuracy",
  "follows_other_document_accuracy",
}


@pytest.fixture
def probed(config):
  return dataclasses.replace(
    config, probes=ProbesConfig(shared_rows=8, pairs=40)
  )


@pytest.fixture
def one_device(monkeypatch):
  """One device compiles faster than eight; only values matter."""
  for module in ("launch.sweep.frozen", "bertjax.finetune.fixed_shapes"):
    monkeypatch.setattr(
      f"{module}.make_mesh",
      lambda *_: make_mesh(MeshConfig(), jax.devices()[:1]),
    )


def read(folder):
  return {
    path.relative_to(folder): path.read_bytes()
    for path in folder.rglob("*")
    if path.is_file()
  }


@pytest.mark.usefixtures("one_device")
def test_probes_measure_a_bundle_and_change_none(probed, tmp_path):
  folder = tmp_path / "bundle"
  info = read_bundle_info(small.make_bundle(folder))
  before = read(folder)
  probes = make_probes(expand(probed))
  assert set(probes) == set(PROBES)
  first, second = (
    {
      name: value
      for each in probes.values()
      for name, value in each(info).values.items()
    }
    for _ in range(2)
  )
  assert first == second
  assert set(first) == METRICS
  # Random parameters know nothing: about one token in the vocabulary.
  assert 2 < first["shared_mlm_loss"] < 10
  assert read(folder) == before


def test_rows_are_the_same_for_all_arms(probed, monkeypatch):
  """Whatever store or length an arm has: they depend on the study alone."""
  made = []
  monkeypatch.setattr(
    "launch.sweep.frozen.make_reference",
    lambda store, data, rows, rate: made.append(
      (store.sha256, data, rows, rate)
    ),
  )
  longer = {"longer": {"data": {"seq_length": 32}}}
  for arms in (probed.arms, {**probed.arms, **longer}):
    PROBES["shared_rows"].make(
      expand(dataclasses.replace(probed, arms=arms)),
      open_probe_store(probed),
    )
  assert made[0] == made[1]
  assert made[0][1].seq_length == 16


def test_text_of_the_probes_is_of_the_identity(config, probed):
  assert probe_store_sha256(config) == {}
  assert probe_store_sha256(probed) == {
    "store": open_probe_store(probed).sha256
  }


def test_a_store_without_the_text_is_told_before_the_first_trial(
  probed, launchers, tmp_path
):
  many = dataclasses.replace(probed, seeds=1)
  store = open_probe_store(many)
  store.splits.clear()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr("launch.sweep.frozen.open_stores", lambda _: _Only(store))
    with pytest.raises(ValueError, match="has no validation split for the"):
      sweep.run(many, str(tmp_path / "work"))
  assert launchers.pretrained == []


class _Only:
  def __init__(self, store):
    self.first = store
