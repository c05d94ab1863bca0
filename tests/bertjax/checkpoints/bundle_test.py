# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle is whole, says what it is, and needs no mesh."""

import dataclasses
import json
import pathlib
import shutil
from importlib import metadata
from typing import Any

import jax
import numpy as np
import pytest

import bertjax
from bertjax import files
from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.checkpoints import bundle, checkpoint, digest
from bertjax.config import MeshConfig
from bertjax.parallel import multihost, sharding
from bertjax.parallel.mesh import make_mesh
from tests.testing import tiny
from tests.testing.examples import init_params

DETAILS = bundle.Details(
  pooler_trained=True, step=3, evaluation={"mlm_loss": 4.25}
)


@pytest.fixture(scope="module")
def params():
  mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
  boxed = jax.eval_shape(tiny.init_params, jax.random.key(0))
  return jax.device_put(tiny.params(), sharding.param_shardings(boxed, mesh))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tokenizer")
  (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
  return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory, params, tokenizer):
  path = tmp_path_factory.mktemp("run") / "bundle"
  bundle.write_bundle(path, params, tiny.CONFIG, tokenizer, DETAILS)
  return path


def test_a_bundle_gives_back_what_went_in(written, params):
  model, got = bertjax.load_bundle(written)
  assert model.config == tiny.CONFIG
  jax.tree.map(np.testing.assert_array_equal, params, got)
  assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(got))
  info = bundle.read_bundle_info(written)
  assert info.details.evaluation == {"mlm_loss": 4.25}
  assert info.details.pooler_trained
  assert (info.tokenizer_path / "vocab.txt").read_text() == "[PAD]\n[UNK]\n"
  features = empty_batch(ENCODER_FEATURES, {"B": 1, "S": 8, "R": 1})
  outputs: Any = model.apply(
    {"params": got}, features, method="encode", deterministic=True
  )
  hidden_BSD, pooled_BRD = outputs
  assert hidden_BSD.shape == (1, 8, 32)
  assert pooled_BRD.shape == (1, 1, 32)


def test_a_model_without_a_pooler_is_read(tokenizer, tmp_path):
  """It has no head of pairs, whose width a bundle tells otherwise."""
  config = dataclasses.replace(tiny.CONFIG, pooler=False)
  params = init_params(config)
  path = tmp_path / "bundle"
  bundle.write_bundle(path, params, config, tokenizer, DETAILS)
  model, got = bertjax.load_bundle(path)
  assert model.config == config
  jax.tree.map(np.testing.assert_array_equal, params, got)


def test_parameters_are_read_to_where_they_belong(written, params):
  info = bundle.read_bundle_info(written)
  got = bundle.load_params(info, like=params)
  jax.tree.map(np.testing.assert_array_equal, params, got)
  for left, right in zip(
    jax.tree.leaves(params), jax.tree.leaves(got), strict=True
  ):
    assert left.sharding == right.sharding


def test_a_bundle_replaces_a_bundle_and_nothing_else(
  tmp_path, params, tokenizer
):
  path = tmp_path / "b"
  bundle.write_bundle(path, params, tiny.CONFIG, tokenizer, DETAILS)
  bundle.write_bundle(
    path, params, tiny.CONFIG, tokenizer, dataclasses.replace(DETAILS, step=4)
  )
  assert bundle.read_bundle_info(path).details.step == 4
  assert [entry.name for entry in tmp_path.iterdir()] == ["b"]
  other = tmp_path / "papers"
  other.mkdir()
  (other / "thesis.tex").write_text("x")
  with pytest.raises(ValueError, match="is no bundle; give another folder"):
    bundle.write_bundle(other, params, tiny.CONFIG, tokenizer, DETAILS)
  assert (other / "thesis.tex").read_text() == "x"


@pytest.mark.parametrize("name", ["bundle", "model"])
def test_a_workdir_names_the_bundle_in_it(tmp_path, name):
  (tmp_path / name).mkdir()
  (tmp_path / name / bundle.RECORD).write_text("{}")
  with pytest.raises(ValueError, match=f"give {tmp_path / name}$"):
    bundle.read_bundle_info(tmp_path)


def test_a_bundle_that_is_not_there_is_said_so(tmp_path):
  with pytest.raises(ValueError, match="it does not exist; give WORKDIR/"):
    bundle.read_bundle_info(tmp_path / "none")


def test_no_bundle_and_a_damaged_one_are_refused(tmp_path, params, tokenizer):
  with pytest.raises(ValueError, match=r"is not a bundle.*launch\.export"):
    bertjax.load_bundle(tmp_path)
  path = tmp_path / "b"
  bundle.write_bundle(path, params, tiny.CONFIG, tokenizer, DETAILS)
  record = json.loads((path / bundle.RECORD).read_text())
  record["model"]["num_heads"] = 8
  (path / bundle.RECORD).write_text(json.dumps(record))
  with pytest.raises(ValueError, match="sha256"):
    bertjax.load_bundle(path)
  bundle.write_bundle(tmp_path / "c", params, tiny.CONFIG, tokenizer, DETAILS)
  (tmp_path / "c/tokenizer/vocab.txt").write_text("[PAD]\n")
  with pytest.raises(ValueError, match=r"vocab\.txt"):
    bertjax.load_bundle(tmp_path / "c")


def test_a_record_of_a_later_version_is_refused_with_the_folder(
  tmp_path, params, tokenizer
):
  path = tmp_path / "bundle"
  bundle.write_bundle(path, params, tiny.CONFIG, tokenizer, DETAILS)
  record = digest.unseal(json.loads((path / bundle.RECORD).read_text()))
  record["details"]["mood"] = "good"
  (path / bundle.RECORD).write_text(json.dumps(digest.seal(record)))
  with pytest.raises(
    ValueError, match=r"bundle .*/bundle cannot be read.*mood"
  ):
    bundle.read_bundle_info(path)


def test_details_come_back_as_they_were_and_unknown_ones_are_refused():
  full = dataclasses.replace(DETAILS, task={"name": "x"}, tokenizer_sha256="ab")
  stored = json.loads(json.dumps(full.to_json()))
  assert bundle.Details.from_json(stored) == full
  assert "corpus" not in stored
  # As an import by an earlier version wrote it.
  nothing = {"step": None, "store_sha256": None, "tokens": None}
  assert bundle.Details.from_json({**stored, **nothing}).step is None
  with pytest.raises(ValueError, match=r"unknown fields \['mood'\]"):
    bundle.Details.from_json({**stored, "mood": "good"})
  with pytest.raises(ValueError, match="whether the pooler is trained"):
    bundle.Details.from_json({**stored, "pooler_trained": None})


def test_what_was_just_written_is_read_by_process_0_alone(
  tmp_path, params, tokenizer, monkeypatch
):
  """On another host the folder may come into sight later."""
  known = []
  monkeypatch.setattr(
    multihost,
    "broadcast_from_first",
    lambda topic, make: known.append(made := make()) or made,
  )
  info = bundle.write_bundle(
    tmp_path / "b", params, tiny.CONFIG, tokenizer, DETAILS
  )
  assert info.leaves == known[-1]["leaves"]
  monkeypatch.setattr(
    multihost, "broadcast_from_first", lambda topic, make: known.pop(0)
  )
  monkeypatch.setattr(multihost, "is_first", lambda: False)
  monkeypatch.setattr(bundle, "_read_record", pytest.fail)
  monkeypatch.setattr(checkpoint, "write_tree", lambda *_: info.leaves)
  other = bundle.write_bundle(
    tmp_path / "b", params, tiny.CONFIG, tokenizer, DETAILS
  )
  assert other == info


def test_a_tokenizer_that_was_changed_meanwhile_is_in_no_bundle(
  tmp_path, params, tokenizer
):
  kept = shutil.copytree(tokenizer, tmp_path / "tokenizer")
  known = files.sha256_of_folder(kept)
  path = tmp_path / "b"
  info = bundle.write_bundle(path, params, tiny.CONFIG, kept, DETAILS, known)
  assert info.tokenizer_files == known
  (kept / "vocab.txt").write_text("[UNK]\n[PAD]\n")
  (kept / "more.txt").write_text("")
  with pytest.raises(
    ValueError, match=r"tokenizer/more\.txt, \S+/vocab\.txt changed since"
  ):
    bundle.write_bundle(path, params, tiny.CONFIG, kept, DETAILS, known)
  assert bundle.read_bundle_info(path) == info, "the old bundle is still there"
  assert sorted(entry.name for entry in tmp_path.iterdir()) == [
    *("b", "tokenizer")
  ]


def test_a_source_tree_that_is_not_installed_has_versions_too(
  tmp_path, params, tokenizer, monkeypatch
):
  """A missing version must not end a run after all of its training."""

  def absent(name):
    raise metadata.PackageNotFoundError(name)

  monkeypatch.setattr(bundle.metadata, "version", absent)
  info = bundle.write_bundle(
    tmp_path / "b", params, tiny.CONFIG, tokenizer, DETAILS
  )
  versions = info.details.versions or {}
  assert versions["bertjax"] == bertjax.__version__
  assert versions["jax"] == "absent"


@pytest.mark.parametrize("at", [1, 2])
def test_a_kill_while_bundles_are_swapped_loses_neither(
  tmp_path, params, tokenizer, monkeypatch, at
):
  path = tmp_path / "b"
  write = lambda step: bundle.write_bundle(
    path,
    params,
    tiny.CONFIG,
    tokenizer,
    dataclasses.replace(DETAILS, step=step),
  )
  write(3)
  renames = []
  rename = pathlib.Path.rename

  def die(self, target):
    if self.name in ("b", ".b.partial"):
      renames.append(self)
      if len(renames) == at:
        raise SystemExit("killed")
    return rename(self, target)

  with monkeypatch.context() as patch:
    patch.setattr(pathlib.Path, "rename", die)
    with pytest.raises(SystemExit):
      write(4)
  if at == 1:
    assert bundle.read_bundle_info(path).details.step == 3
  else:
    with pytest.raises(ValueError, match=r"rename \S+\.b\.replaced to \S+b$"):
      bundle.read_bundle_info(path)
    aside = tmp_path / ".b.replaced"
    assert bundle.read_bundle_info(aside).details.step == 3
  write(5)
  assert bundle.read_bundle_info(path).details.step == 5
  assert [entry.name for entry in tmp_path.iterdir()] == ["b"]
