# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run is made of, and whose it is, before its first step."""

import dataclasses
import shutil

import pytest

from bertjax.config import PhaseConfig, identity
from data_pipelines.store.store import Store
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import Tokenizer
from data_pipelines.tokenizers.wordpiece import WordPiece
from launch import pretrain
from launch.run import assembly


def test_a_store_with_a_swapped_tokenizer_is_refused(
  store, two_phases, tmp_path
):
  shutil.copytree(store, tmp_path / "store")
  path = tmp_path / "store/tokenizer/vocab.txt"
  pieces = path.read_text().splitlines()
  pieces[-2:] = pieces[:-3:-1]
  path.write_text("\n".join(pieces) + "\n")
  path.with_name("tokenizer.json").unlink()  # which still says the old one
  data = dataclasses.replace(two_phases.data, store=str(tmp_path / "store"))
  with pytest.raises(ValueError, match="was made with tokenizer"):
    pretrain.run(
      dataclasses.replace(two_phases, data=data), str(tmp_path / "work")
    )
  assert not (tmp_path / "work").exists()


def test_two_ways_to_say_a_phase_are_one_identity(two_phases):
  second = dataclasses.replace(two_phases.phase2, accumulation=1, batch_size=16)
  other = dataclasses.replace(second, accumulation=0, batch_size=0)
  one, two = (
    assembly.assemble(dataclasses.replace(two_phases, phase2=phase2)).identity
    for phase2 in (second, other)
  )
  assert one == two


def test_a_run_may_lose_its_second_phase_if_that_is_said(two_phases):
  """The names to accept are those of either side."""
  old = assembly.assemble(two_phases).identity
  new = assembly.assemble(
    dataclasses.replace(two_phases, phase2=PhaseConfig())
  ).identity
  with pytest.raises(ValueError, match="accept with") as told:
    identity.check_identity(old, new, allow_changes="")
  names = str(told.value).split("allow_changes=")[1]
  identity.check_identity(old, new, allow_changes=names)


def test_a_run_that_masks_words_knows_where_they_begin(two_phases, monkeypatch):
  objective = dataclasses.replace(two_phases.objective, mask_unit="word")
  words = dataclasses.replace(two_phases, objective=objective)
  assert assembly.assemble(words).identity["words_version"] == 1
  monkeypatch.setattr(Tokenizer, "words_version", lambda self, counts_V: 2)
  assert assembly.assemble(words).identity["words_version"] == 2
  assert "words_version" not in assembly.assemble(two_phases).identity


def test_words_that_a_text_does_not_have_are_refused_before_any_compile(
  two_phases, monkeypatch
):
  monkeypatch.setattr(WordPiece, "continues", lambda self, token: True)
  monkeypatch.setattr(assembly, "make_program", None)
  for unit in ("word", "span", "ngram"):
    objective = dataclasses.replace(two_phases.objective, mask_unit=unit)
    with pytest.raises(ValueError, match=f"mask_unit={unit} takes whole words"):
      assembly.assemble(dataclasses.replace(two_phases, objective=objective))


def test_segments_that_nothing_tells_apart_are_refused_before_any_compile(
  two_phases, monkeypatch
):
  """Before the weights of the model, whose template is that of the store."""
  model = dataclasses.replace(two_phases.model, type_vocab_size=0)
  config = dataclasses.replace(two_phases, model=model)
  assembly.assemble(config)  # its tokenizer has [SEP] between segments
  template = Template((2,), (), (3,))
  monkeypatch.setattr(Store, "template", property(lambda _: template))
  monkeypatch.setattr(assembly, "make_program", None)
  with pytest.raises(ValueError, match="nothing tells apart with model"):
    assembly.assemble(config)
