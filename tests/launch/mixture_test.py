# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run on two stores: its shares, its values of each, and how it goes on."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from bertjax.checkpoints import bundle
from bertjax.config import (
  CheckpointConfig,
  DataConfig,
  EvaluationConfig,
  MeshConfig,
  PhaseConfig,
  identity,
)
from bertjax.parallel.mesh import make_mesh
from bertjax.train import writers
from launch import pretrain
from launch.run import assembly, resumable, validation
from launch.run.console import describe_phase
from tests.testing import corpus

STEPS = 5
PHASE2 = PhaseConfig(steps=2, seq_length=32, batch_size=8)


@pytest.fixture(scope="module", autouse=True)
def one_device():
  """Rows are what is looked at here; one device compiles faster than eight."""
  with pytest.MonkeyPatch.context() as patch:
    one = lambda *_: make_mesh(MeshConfig(), jax.devices()[:1])
    patch.setattr("bertjax.train.program.make_mesh", one)
    yield


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
  """Paths of three stores; the last has no validation split."""
  made = tmp_path_factory.mktemp("corpora")
  paths = {}
  for seed, (name, share) in enumerate(
    {"wiki": "0.2", "tickets": "0.2", "notes": "0"}.items()
  ):
    path = pathlib.Path(
      corpus.make_store(
        made / name, seed=seed, most_lines=4 + 4 * seed, validation=share
      )
    )
    paths[name] = str(path.rename(path.with_name(name)))
  return paths


def mixed(stores, **weights):
  text = ",".join(f"{stores[name]}={each}" for name, each in weights.items())
  return DataConfig(stores=text, seq_length=24)


@pytest.fixture(scope="module")
def config(stores):
  config = corpus.make_config(
    "",
    data=mixed(stores, wiki=0.7, tickets=0.3),
    steps=STEPS,
    batch_size=16,
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=0, batches=2),
  )
  model = dataclasses.replace(config.model, num_layers=1)
  return dataclasses.replace(config, model=model)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
  return pretrain.run(config, str(tmp_path_factory.mktemp("run") / "w"))


def test_each_phase_has_its_own_rows_of_each_store(config):
  spec = assembly.assemble(dataclasses.replace(config, phase2=PHASE2))
  assert spec.phases[1].pipeline.batch(0)["tokens_BS"].shape == (8, 32)
  named = [name for name in spec.identity if name.endswith(".stores")]
  assert named == ["data.stores", "phase2.stores"]
  assert [dict(phase.rows) for phase in spec.phases] == [
    {"wiki": 11, "tickets": 5},
    {"wiki": 6, "tickets": 2},
  ]
  assert spec.describe_stores()["mixture"] == {
    "wiki": pytest.approx((3 * 11 + 2 * 6) / 64),
    "tickets": pytest.approx((3 * 5 + 2 * 2) / 64),
  }


def test_stopped_and_started_again_equals_never_stopped(
  finished, config, tmp_path, monkeypatch, capsys
):
  real = resumable.train_iterator

  def breaks(pipeline, start, **named):
    for number, batch in enumerate(real(pipeline, start, **named)):
      if number == 3 - start:
        raise ConnectionError("the machine is gone")
      yield batch

  with monkeypatch.context() as patch:
    patch.setattr(resumable, "train_iterator", breaks)
    with pytest.raises(ConnectionError):
      pretrain.run(config, str(tmp_path))
  again = pretrain.run(config, str(tmp_path))
  assert (
    bundle.read_bundle_info(again["bundle"]).leaves
    == bundle.read_bundle_info(finished["bundle"]).leaves
  )
  left = pathlib.Path(finished["workdir"]) / writers.METRICS
  assert (tmp_path / writers.METRICS).read_bytes() == left.read_bytes()
  told = capsys.readouterr().out
  assert "\n  wiki: 11 of 16 rows (68.8%), " in told
  assert "resuming from step" in told
  assert "\n  tickets: loss " in told


def test_values_and_bundle_tell_of_each_store(finished, stores):
  values = finished["validation"]
  pooled = {name for name in values if "/" not in name}
  assert {"loss", "mlm_loss", "mlm_accuracy", "nsp_loss"} <= pooled
  for name in pooled - {"loss"}:
    each = [values[f"{name}/{store}"] for store in ("wiki", "tickets")]
    assert min(each) <= values[name] <= max(each)
    # Of the rows of both: not one store's own value.
    assert values[name] not in each or len(set(each)) == 1
  assert len(values) == 3 * len(pooled)
  workdir = pathlib.Path(finished["workdir"])
  last = writers.read(workdir / writers.METRICS, "validation")[-1]
  assert {name: last[name] for name in values} == values
  details = bundle.read_bundle_info(finished["bundle"]).details
  assert details.evaluation == values
  assert details.corpus.keys() == details.store_sha256.keys()
  assert details.mixture.keys() == {"wiki", "tickets"}
  assert sum(details.mixture.values()) == pytest.approx(1)


def test_values_of_a_store_are_those_of_a_run_on_it(config, stores):
  """And one without a validation split is left out."""
  mixture = dataclasses.replace(
    mixed(stores, wiki=0.4, tickets=0.4, notes=0.2), max_packs=2
  )
  alone = DataConfig(store=stores["tickets"], seq_length=24, max_packs=2)
  values, made = [], None
  for data in (mixture, alone):
    spec = assembly.assemble(dataclasses.replace(config, data=data))
    made = made or spec.program.make_state()
    evaluate = validation.make_evaluate(spec, spec.phases[0])
    values.append(evaluate(made.params))
    lines = list(describe_phase(spec.phases[0]))
    assert lines[-1].endswith("no validation split") == (data is mixture)
  ours, theirs = values
  assert {name.partition("/")[2] for name in ours} == {"", "wiki", "tickets"}
  for name, value in theirs.items():
    if name != "unigram_entropy":  # of the mixture's tokens
      assert ours[f"{name}/tickets"] == value


def test_other_weights_or_stores_are_another_run(finished, config, stores):
  workdir = finished["workdir"]
  for data, told in (
    (
      mixed(stores, wiki=0.5, tickets=0.5),
      r"\(data\.stores: .* → .*data\.stor",
    ),
    (mixed(stores, wiki=0.7, notes=0.3), r"; store: '.* → '.*data\.stores"),
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
    config, data=mixed(stores, tickets=0.301, wiki=0.699)
  )
  identity.check_identity(
    assembly.assemble(config).identity,
    assembly.assemble(nearly).identity,
    allow_changes="",
  )


def test_one_store_has_the_identity_of_that_store(config, stores):
  plain, one = (
    assembly.assemble(dataclasses.replace(config, data=data))
    for data in (
      DataConfig(store=stores["wiki"], seq_length=24),
      mixed(stores, wiki=2),
    )
  )
  assert one.identity == plain.identity
  assert not any("stores" in name for name in plain.identity)
  for left, right in zip(one.phases, plain.phases, strict=True):
    jax.tree.map(
      np.testing.assert_array_equal,
      left.pipeline.batch(3),
      right.pipeline.batch(3),
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
    config, data=mixed(stores, **weights), phase2=PHASE2
  )
  with pytest.raises(ValueError, match=told) as caught:
    pretrain.run(bad, str(tmp_path / "w"))
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "w").exists()
