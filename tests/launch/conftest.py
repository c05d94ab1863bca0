# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores, bundles and exports, made once for all tests of this folder."""

import dataclasses

import jax
import pytest

from bertjax.config import (
  CheckpointConfig,
  EvaluationConfig,
  MeshConfig,
  OptimizerConfig,
  PhaseConfig,
)
from bertjax.parallel.mesh import make_mesh
from bertjax.train.program import sharing
from launch import export
from launch.exports.formats import Options
from tests.testing import corpus
from tests.testing.exports import make_bundle, make_classifier


@pytest.fixture(scope="module")
def one_device():
  """Run on one device, which compiles faster than eight; only rows matter."""
  with pytest.MonkeyPatch.context() as patch:
    one = lambda *_: make_mesh(MeshConfig(), jax.devices()[:1])
    patch.setattr("bertjax.train.program.make_mesh", one)
    yield


@pytest.fixture(scope="module")
def shared_programs():
  """Have the runs of a file trace and compile a program once for all."""
  with sharing():
    yield


@pytest.fixture(scope="session")
def store(tmp_path_factory):
  return corpus.make_store(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
  """Paths of three stores; the last has no validation split."""
  return corpus.make_stores(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="session")
def two_phases(store):
  """Five steps of short rows, then four of long ones."""
  config = corpus.make_config(
    store,
    steps=9,
    batch_size=16,
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=2),
    phase2=PhaseConfig(
      steps=4,
      seq_length=32,
      batch_size=8,
      learning_rate=4e-3,
      warmup_steps=1,
    ),
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=4, rows=16),
  )
  model = dataclasses.replace(config.model, hidden_dropout_rate=0.2)
  return dataclasses.replace(config, model=model)


@pytest.fixture(scope="session")
def mixture(stores):
  """Five steps on two stores, with a model of one layer."""
  config = corpus.make_config(
    "",
    data=corpus.mixed(stores, wiki=0.7, tickets=0.3),
    steps=5,
    batch_size=16,
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=0, rows=16),
  )
  model = dataclasses.replace(config.model, num_layers=1)
  return dataclasses.replace(config, model=model)


@pytest.fixture(scope="session")
def export_place(tmp_path_factory):
  return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="session")
def bundle(export_place):
  return make_bundle(export_place / "bundle")


@pytest.fixture(scope="session")
def exported(export_place, bundle):
  return export.run(
    bundle=bundle,
    output=export_place / "named",
    options=Options(license="apache-2.0"),
  )


@pytest.fixture(scope="session")
def classifier(export_place):
  return make_classifier(export_place / "classifier")


@pytest.fixture(scope="session")
def exported_classifier(export_place, classifier):
  return export.run(bundle=classifier, output=export_place / "classifier-hf")
