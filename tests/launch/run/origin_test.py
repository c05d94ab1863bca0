# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run says what it began with, and needs it only to begin."""

import dataclasses
import json
import pathlib
import shutil

import pytest

from bertjax.checkpoints import bundle, digest
from bertjax.checkpoints.records import read_newest_record
from launch import pretrain
from launch.run import origin

pytestmark = pytest.mark.usefixtures("one_device", "shared_programs")


@pytest.fixture(scope="module")
def bundles(config, one_device, shared_programs, tmp_path_factory):
  """Two bundles with other parameters."""
  del one_device, shared_programs
  return [
    pretrain.run(
      dataclasses.replace(config, seed=seed),
      str(tmp_path_factory.mktemp("origin") / "w"),
    ).bundle
    for seed in (1, 2)
  ]


@pytest.fixture(scope="module")
def begun(config, bundles, tmp_path_factory):
  """The workdir of a run from the first bundle."""
  workdir = tmp_path_factory.mktemp("begun") / "w"
  pretrain.run(dataclasses.replace(config, init_from=bundles[0]), str(workdir))
  return workdir


@pytest.fixture
def workdir(begun, tmp_path):
  return shutil.copytree(begun, tmp_path / "w")


def longer(config, path, allow_changes="steps"):
  """The config to go on with."""
  return dataclasses.replace(
    config, init_from=path, steps=4, allow_changes=allow_changes
  )


def told(workdir):
  return bundle.read_bundle_info(pathlib.Path(workdir) / "bundle").details


def test_a_bundle_says_what_its_run_began_with(begun, bundles):
  sha256 = bundle.read_bundle_info(bundles[0]).params_sha256
  assert sha256 != bundle.read_bundle_info(bundles[1]).params_sha256
  before, after = told(pathlib.Path(bundles[0]).parent), told(begun)
  assert before.findings
  findings = [f"Of the training before: {each}" for each in before.findings]
  origin = {"path": bundles[0], "sha256": sha256, "findings": findings}
  assert after.origin == origin
  assert after.findings
  assert [*after.findings[: len(findings)]] == findings
  assert before.origin is None
  record = read_newest_record(begun / "checkpoints")
  assert record is not None
  assert record["identity"]["init_from"] == sha256


@pytest.mark.parametrize(
  "which", [1, pytest.param(None, marks=pytest.mark.full)]
)
def test_another_origin_is_refused_and_no_lie_is_written(
  config, bundles, workdir, which
):
  path = "" if which is None else bundles[which]
  with pytest.raises(ValueError, match="init_from: '") as caught:
    pretrain.run(longer(config, path), str(workdir))
  assert "\n" not in str(caught.value)
  pretrain.run(longer(config, path, "steps,init_from"), str(workdir))
  details = told(workdir)
  assert details.config is not None
  assert details.origin == told(workdir).origin
  assert details.config["init_from"] == bundles[0]


@pytest.mark.parametrize(
  "gone", [True, pytest.param(False, marks=pytest.mark.full)]
)
def test_an_origin_that_has_moved_does_not_stop_a_resumed_run(
  config, bundles, workdir, tmp_path, caplog, gone
):
  moved = tmp_path / "moved"
  if not gone:
    shutil.copytree(bundles[0], moved)
  result = pretrain.run(longer(config, str(moved)), str(workdir))
  assert result.step == 4
  assert told(workdir).origin["path"] == bundles[0]
  assert ("init_from is not compared" in caplog.text) == gone


def test_an_origin_must_be_there_where_a_run_begins(config, tmp_path):
  with pytest.raises(ValueError, match="is not a bundle"):
    pretrain.run(longer(config, str(tmp_path / "no")), str(tmp_path / "w"))
  assert not (tmp_path / "w").exists()


def test_an_origin_that_an_older_record_does_not_know_is_logged(
  config, bundles, workdir, caplog
):
  (path,) = workdir.glob("checkpoints/2/record/metadata")
  record = digest.unseal(json.loads(path.read_text()))
  del record["run"]["identity"]["init_from"], record["run"]["origin"]
  path.write_text(json.dumps(digest.seal(record)))
  pretrain.run(longer(config, bundles[1]), str(workdir))
  assert "this checkpoint does not know its own" in caplog.text
  # It never claims a digest that it has not seen.
  assert told(workdir).origin == {"path": bundles[0]}
  record = read_newest_record(workdir / "checkpoints")
  assert record is not None
  assert "init_from" not in record["identity"]


def test_an_older_record_of_a_run_from_scratch_knows_that():
  record = {"identity": {"seed": 0}, "config": {"init_from": ""}}
  assert origin.identity_in(record) == {"seed": 0, "init_from": ""}
  record["config"]["init_from"] = "somewhere"
  assert origin.identity_in(record) == {"seed": 0}
