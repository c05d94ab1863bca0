# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run on two stores: its shares, its values of each, and how it goes on."""

import dataclasses
import pathlib
from typing import Any

import pytest

from bertjax.checkpoints import bundle
from bertjax.config import (
  DataConfig,
  PhaseConfig,
  identity,
)
from bertjax.train import writers
from data_pipelines.store.store import open_store
from launch import pretrain
from launch.preflight.policy import Policy
from launch.preflight.run import judge_recipe
from launch.preflight.store import measure_store
from launch.run import assembly
from launch.run.findings import FINDINGS, read_findings
from tests.testing import corpus
from tests.testing.interrupted import pretrain_until

STEPS = 5
PHASE2 = PhaseConfig(steps=2, seq_length=32, batch_size=8)


pytestmark = pytest.mark.usefixtures("one_device", "shared_programs")


@pytest.fixture(scope="module")
def config(mixture):
  return mixture


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
  return pretrain.run(config, str(tmp_path_factory.mktemp("run") / "w"))


def test_stopped_and_started_again_equals_never_stopped(
  finished, config, tmp_path, capsys
):
  pretrain_until(3, config, tmp_path)
  begun = read_findings(tmp_path)
  again = pretrain.run(config, str(tmp_path))
  assert (
    bundle.read_bundle_info(again.bundle).leaves
    == bundle.read_bundle_info(finished.bundle).leaves
  )
  left = pathlib.Path(finished.workdir) / writers.METRICS
  assert (tmp_path / writers.METRICS).read_bytes() == left.read_bytes()
  # Findings are neither lost nor told twice.
  whole = left.with_name(FINDINGS).read_bytes()
  assert (tmp_path / FINDINGS).read_bytes() == whole
  assert begun.step == 0
  assert begun.findings
  assert set(begun.findings) <= set(finished.findings)
  told = capsys.readouterr().out
  assert "\n  wiki: 11 of 16 rows (68.8%), " in told
  assert "resuming from step" in told
  assert "\n  tickets: loss " in told


def test_values_and_bundle_tell_of_each_store(finished, stores):
  values = finished.validation
  pooled = {name for name in values if "/" not in name}
  assert {"loss", "mlm_loss", "mlm_accuracy", "nsp_loss"} <= pooled
  for name in pooled - {"loss"}:
    each = [values[f"{name}/{store}"] for store in ("wiki", "tickets")]
    assert min(each) <= values[name] <= max(each)
    # Of the rows of both: not one store's own value.
    assert values[name] not in each or len(set(each)) == 1
  assert len(values) == 3 * len(pooled)
  workdir = pathlib.Path(finished.workdir)
  last = writers.read(workdir / writers.METRICS, "validation")[-1]
  assert {name: last[name] for name in values} == values
  details: Any = bundle.read_bundle_info(finished.bundle).details
  assert details.evaluation == values
  assert details.corpus.keys() == details.store_sha256.keys()
  assert details.mixture.keys() == {"wiki", "tickets"}
  assert sum(details.mixture.values()) == pytest.approx(1)
  usages = [
    measure_store(open_store(path)).fertility
    for name, path in stores.items()
    if name in details.mixture
  ]
  assert min(usages) <= details.tokens_per_word <= max(usages)


def test_other_weights_or_stores_are_another_run(finished, config, stores):
  workdir = finished.workdir
  for data, told in (
    (
      corpus.mixed(stores, wiki=0.5, tickets=0.5),
      r"\(data\.stores: .* → .*data\.stor",
    ),
    (
      corpus.mixed(stores, wiki=0.7, notes=0.3),
      r"; store: '.* → '.*data\.stores",
    ),
    (
      DataConfig(store=stores["wiki"], seq_length=24),
      r"data\.stores: .* → None",
    ),
  ):
    changed = dataclasses.replace(config, data=data)
    with pytest.raises(ValueError, match=told) as caught:
      pretrain.run(changed, workdir)
    assert "\n" not in str(caught.value)
  # As many rows of each are the same batches.
  nearly = dataclasses.replace(
    config, data=corpus.mixed(stores, tickets=0.301, wiki=0.699)
  )
  identity.check_identity(
    assembly.assemble(config).identity,
    assembly.assemble(nearly).identity,
    allow_changes="",
  )


@pytest.mark.parametrize(
  ("weights", "told"),
  [
    ({"wiki": 99, "tickets": 1}, r"tickets 0\.01 of batch_size=16,"),
    ({"wiki": 20, "tickets": 1}, r"of phase2\.batch_size=8, .* phase2\.batch"),
    ({"wiki": 1, "tickets": "many"}, r"weight 'many' of .*tickets"),
  ],
)
def test_a_mixture_that_does_not_fit_is_one_line(
  config, stores, tmp_path, weights, told
):
  bad = dataclasses.replace(
    config, data=corpus.mixed(stores, **weights), phase2=PHASE2
  )
  with pytest.raises(ValueError, match=told) as caught:
    pretrain.run(bad, str(tmp_path / "w"))
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "w").exists()


def test_a_finding_names_its_store(config):
  policy = Policy(thresholds={"validation_tokens.warn": 1e9})
  found = judge_recipe(assembly.assemble(config), policy)
  texts = [each.text for each in found if each.name == "validation_tokens"]
  names = ("in store wiki, the val", "in store tickets, the val")
  assert len(texts) == 2
  assert all(any(text.startswith(n) for text in texts) for n in names)
