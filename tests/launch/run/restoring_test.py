# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer that a run keeps in its workdir."""

import dataclasses
import pathlib
import shutil

import pytest

from bertjax.checkpoints.records import read_newest_record
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import tokenizers
from launch import export, pretrain
from launch.run import restoring

FIXTURE = pathlib.Path(__file__).parents[2] / "fixtures/format_1/checkpoint"


def test_a_tokenizer_that_is_not_the_stores_is_replaced(store, tmp_path):
  """After a kill in the middle of the copy, or with a store prepared again."""
  opened = open_store(store)
  sha256 = tokenizers.load(opened.tokenizer_path).sha256
  kept = tmp_path / "tokenizer"
  for damage in ("cut", "other"):
    kept.mkdir(exist_ok=True)
    if damage == "other":
      pieces = (kept / "vocab.txt").read_text().splitlines()
      pieces[-2:] = pieces[:-3:-1]
      (kept / "vocab.txt").write_text("\n".join(pieces) + "\n")
    restoring.keep_tokenizer(opened.tokenizer_path, kept, sha256)
    assert tokenizers.load(kept).sha256 == sha256, damage
    assert not [*tmp_path.glob(".tokenizer*")], damage


def swap(vocabulary):
  """Swap the last two tokens of a vocab.txt."""
  tokens = vocabulary.read_text().splitlines()
  tokens[-2:] = tokens[:-3:-1]
  vocabulary.write_text("\n".join(tokens) + "\n")


def test_any_file_of_the_tokenizer_is_compared_and_not_its_hash_alone(
  store, tmp_path
):
  source = open_store(store).tokenizer_path
  sha256 = tokenizers.load(source).sha256
  kept = shutil.copytree(source, tmp_path / "tokenizer")
  (kept / "tokenizer_config.json").write_text("{}")
  restoring.keep_tokenizer(source, kept, sha256)
  assert (kept / "tokenizer_config.json").read_bytes() == (
    source / "tokenizer_config.json"
  ).read_bytes()


@pytest.mark.usefixtures("one_device")
def test_a_start_that_fails_writes_no_config(config, tmp_path):
  workdir = tmp_path / "w"
  pretrain.run(config, str(workdir))
  before = (workdir / restoring.CONFIG).read_bytes()
  for path in workdir.glob("checkpoints/*/params/manifest.ocdbt"):
    path.write_bytes(b"")
  other = dataclasses.replace(config, log_every_steps=1)
  with pytest.raises(ValueError, match="all checkpoints in"):
    pretrain.run(other, str(workdir))
  assert (workdir / restoring.CONFIG).read_bytes() == before


@pytest.mark.usefixtures("one_device")
def test_a_tokenizer_that_was_changed_leaves_no_workdir(
  config, tmp_path, monkeypatch
):
  workdir = tmp_path / "w"
  vocabulary = workdir / "tokenizer" / "vocab.txt"
  train = pretrain._train

  def change(*given):
    state = train(*given)
    swap(vocabulary)
    return state

  with monkeypatch.context() as patch:
    patch.setattr(pretrain, "_train", change)
    with pytest.raises(ValueError, match=r"tokenizer/vocab\.txt changed"):
      pretrain.run(config, str(workdir))
  assert not (workdir / "bundle").exists()
  record = read_newest_record(workdir / "checkpoints")
  assert record is not None
  assert "vocab.txt" in record["tokenizer_files"]
  for form in export.FORMATS:
    with pytest.raises(ValueError, match=r"tokenizer/vocab\.txt changed"):
      export.run(workdir=workdir, format=form, output=tmp_path / "out")
  assert not (tmp_path / "out").exists()
  pretrain.run(config, str(workdir))  # copies the store's again
  export.run(workdir=workdir, format="bundle", output=tmp_path / "out")


def test_a_tokenizer_is_compared_with_the_record_of_an_earlier_version(
  tmp_path,
):
  workdir = shutil.copytree(FIXTURE, tmp_path / "w")
  export.run(workdir=workdir, format="bundle", output=tmp_path / "out")
  (workdir / "tokenizer" / "tokenizer.json").unlink()  # it has them as well
  swap(workdir / "tokenizer" / "vocab.txt")
  with pytest.raises(ValueError, match=r"and the run was trained with"):
    export.run(workdir=workdir, format="bundle", output=tmp_path / "other")
