# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What no run of a family can be, said in a line before any compile."""

import json

import pytest

from bertjax.config import PretrainConfig, from_mapping
from configs import pretrain
from configs.families import FAMILIES
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.tokenizers import tokenizers
from launch.run import assembly
from tests.testing import prepared, small
from tests.testing.configs import replaced
from tests.testing.exports import make_bundle
from tests.testing.small_stores import make_store

_SHAPE = ("num_layers", "hidden_size", "num_heads", "intermediate_size")


@pytest.fixture(scope="module")
def own_store(export_place, bundle):
  """A store with the tokenizer of the bundle, which is a BERT."""
  return make_store(export_place, bundle, "0.1")


@pytest.fixture
def refused(own_store, monkeypatch):
  """A function: assemble a small run of a family; return what refuses it."""
  monkeypatch.setattr(assembly, "make_program", None)  # nothing is compiled

  def assemble(family, changes):
    made = pretrain.get_config(
      f"family={family},objective=roberta,recipe=short"
    )
    config = replaced(
      from_mapping(PretrainConfig, made.to_dict()),
      {
        "data.store": own_store,
        "data.seq_length": 32,
        **{f"model.{name}": getattr(small.MODEL, name) for name in _SHAPE},
        **changes,
      },
    )
    with pytest.raises(ValueError, match=r"\S") as caught:
      assembly.assemble(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)

  return assemble


# The sentence of choices that exclude each other, in its order.
MISTAKES = [
  # Rotary positions with a table of positions.
  (
    "modernbert",
    {"model.position_offset": 2},
    "model.position_offset=2 is read only with model.positions=learned",
  ),
  (
    "modernbert",
    {"model.position_init": "sinusoid"},
    "model.position_init=sinusoid is read only with model.positions=learned",
  ),
  # A local base without windows.
  (
    "bert",
    {
      "model.positions": "rotary",
      "model.position_init": "normal",
      "model.rotary_local_base": 1e4,
    },
    "rotary_local_base=10000.0 is read only with model.positions=rotary and "
    "model.attention_pattern=window; give that, or",
  ),
  # Heads that do not divide.
  (
    "albert",
    {"model.num_heads": 3},
    "model.num_heads=3 does not divide model.hidden_size=",
  ),
  (
    "modernbert",
    {"model.num_heads": small.MODEL.hidden_size},
    "turns pairs of columns, and model.hidden_size / model.num_heads = 1",
  ),
  # Shared layers with patterns of their own.
  (
    "albert",
    {"model.attention_pattern": "window"},
    "model.attention_pattern=window makes layers differ, and model."
    "layer_groups=1 makes them the same; give model.attention_pattern=full, or",
  ),
  (
    "albert",
    {"model.layer_groups": 3},
    "model.layer_groups=3 does not divide model.num_layers=",
  ),
  # A window of 0.
  (
    "modernbert",
    {"model.attention_window": 0},
    "model.attention_window=0; a window has half of its positions on either "
    "side: give an even number from 2",
  ),
  # Lengths beyond the positions, with a table and without.
  (
    "roberta",
    {"data.seq_length": 1_024},
    "data.seq_length=1024 is beyond the position table; give at most model."
    "max_positions=512",
  ),
  (
    "distilbert",
    {"data.seq_length": 1_024},
    "data.seq_length=1024 is beyond the positions of this encoder, which are "
    "sinusoidal; give at most model.max_positions=512",
  ),
  (
    "modernbert",
    {"data.seq_length": 16_384},
    "data.seq_length=16384 is beyond the positions of this encoder, which are "
    "rotary; give at most model.max_positions=8192",
  ),
]


@pytest.mark.parametrize(("family", "changes", "message"), MISTAKES)
def test_choices_that_exclude_each_other_are_refused(
  family, changes, message, refused
):
  assert message in refused(family, changes)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"bert"}))
def test_a_checkpoint_of_another_family_is_refused(family, refused, bundle):
  assert refused(family, {"init_from": bundle}) == (
    f"init_from={bundle} is an encoder of family bert, and this run is of "
    f"family {family}; give --config=pretrain:family=bert and its size, or a "
    f"bundle of family {family}"
  )


def test_positions_of_a_checkpoint_that_cannot_be_extended(
  refused, bundle, tmp_path
):
  """A table has a row for each; the checkpoint has no others."""
  sha256 = tokenizers.load(bundle).sha256
  known = make_bundle(tmp_path / "known", tokenizer_sha256=sha256)
  told = refused(
    "bert",
    {
      "init_from": known,
      "model.max_positions": 4 * small.MODEL.max_positions,
      "model.vocab_size": 0,
    },
  )
  assert "does not have this run's model.max_positions=" in told
  assert f"--config.model.max_positions={small.MODEL.max_positions}" in told


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path):
  corpus = prepared.write_jsonl(tmp_path / "text.jsonl", prepared.TEXTS)
  learned = tokenizers.train(prepared.TEXTS, "roberta", 300)
  learned.save(tmp_path / "bytes")
  for path in (tmp_path / "bytes").glob("tokenizer*"):
    path.unlink()
  vocab = json.loads((tmp_path / "bytes/vocab.json").read_text())
  del vocab["<mask>"]
  (tmp_path / "bytes/vocab.json").write_text(json.dumps(vocab))
  (tmp_path / "words.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n")
  for given, token in (("bytes", "<mask>"), ("words.txt", "[MASK]")):
    with pytest.raises(ValueError, match=r"\S") as caught:
      prepare(
        Options(
          corpus=corpus,
          output=str(tmp_path / "store"),
          tokenizer=str(tmp_path / given),
        )
      )
    assert token in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()
