# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which results of others a run is judged by."""

import dataclasses
import math

import pytest

from bertjax.config import SIZES, ObjectiveConfig
from launch.preflight import bands
from launch.preflight.bands import find_band, objective_of
from launch.preflight.kinds import BERT, SHORT, Kind, Objective, Reference
from launch.preflight.reference import REFERENCES, ROBERTA


def edges(
  size,
  tokens,
  objective: Objective = "mlm_nsp",
  entropy: float | None = 6.5,
  kind=BERT,
):
  found = find_band(
    SIZES[size], objective, kind, tokens=tokens, entropy=entropy
  )
  return [edge and round(edge[0], 2) for edge in (found.low, found.high)]


def test_a_run_lies_between_the_nearest_that_saw_less_and_more():
  # Mini after 1,200 and 2,000 steps: 1.28 and 2.14 below the entropy.
  assert edges("mini", 3e6) == [4.36, 5.22]
  # Tiny has seen as much by now, with three seeds 1.67 below.
  assert edges("mini", 4e6) == [4.36, 4.83]
  # Base at the end: RoBERTa's and BERT's.
  assert edges("base", 100e9) == [1.3, 1.38]


@pytest.mark.parametrize("size", ["tiny", "mini", "small", "medium", "base"])
def test_a_larger_model_is_expected_to_reach_what_a_smaller_one_did(size):
  low, high = edges(size, 1e9)
  assert low == {"base": 1.38, "medium": 1.54}.get(size, 1.76)
  assert high == (4.83 if size == "tiny" else 3.9)


def test_results_of_the_same_objective_come_first():
  roberta = edges("base", 30e9, "mlm", kind=ROBERTA)
  assert roberta[1] == round(math.log(3.93), 2)
  assert edges("base", 100e9, "mlm_nsp")[1] == 1.38
  assert edges("tiny", 4e6, "mlm")[1] == 4.64
  assert edges("tiny", 4e6, "mlm_nsp")[1] == 4.83
  assert edges("tiny", 4e6, "mlm_sop")[1] == 4.81
  # A far smaller model of the same objective does not stand for others.
  assert edges("base", 100e9, "mlm")[1] == 1.38
  # Of no pair loss, nothing as large is known: others stand in.
  assert edges("mini", 10e6, "mlm")[1] == 3.9
  assert edges("base", 100e9, "mlm_sop")[1] == 1.38
  assert edges("base", 100e9, "mlm_sop", kind=ROBERTA)[1] == 1.35


def test_a_result_that_has_no_loss_to_tell_stands_for_no_other(monkeypatch):
  told = Reference(2, 128, "", 1e6, 4.0, "", "", objective="mlm_nsp")
  below = dataclasses.replace(told, objective="mlm", loss=None, below=2.0)
  monkeypatch.setattr(bands, "comparable", lambda _: (told, below))
  assert edges("tiny", 1e6, "mlm", entropy=None) == [4.0, 4.0]
  assert edges("tiny", 1e6, "mlm", entropy=5.0) == [3.0, 3.0]


def test_rows_of_two_sentences_are_compared_with_such_rows_alone():
  pairs = dataclasses.replace(SHORT, sentence_pairs=True)
  assert edges("tiny", 4e6, "mlm", kind=pairs) == [None, 3.71]
  assert edges("tiny", 3e6, "mlm_nsp", kind=pairs) == [3.78, None]


def test_a_little_text_that_was_read_often_is_no_lower_edge():
  """134 is the perplexity of 1 M words, which more text goes far below."""
  low, _ = edges("mini", 1e9, "mlm", kind=ROBERTA)
  assert low is not None
  assert low < 2


def test_every_reference_is_within_half_a_nat_of_the_band_of_others():
  """The limit of the warning is twice that."""
  shapes = {(s.num_layers, s.hidden_size): s for s in SIZES.values()}
  for each in REFERENCES:
    loss = each.reached(6.5)
    if loss is None or not each.tokens:
      continue
    shape = (each.layers, each.width)
    model = shapes.get(shape) or dataclasses.replace(
      SIZES["base"], num_layers=each.layers, hidden_size=each.width
    )
    band = find_band(
      model, each.objective, each.kind, tokens=each.tokens, entropy=6.5
    )
    beyond = band.beyond(loss)
    assert beyond is None or abs(beyond[0]) < 0.5, each


def test_without_an_entropy_only_losses_are_edges():
  found = find_band(SIZES["mini"], "mlm_nsp", BERT, tokens=1e9, entropy=None)
  assert found.high is None
  assert found.low is not None
  assert found.beyond(9.0) is None


@pytest.mark.parametrize(
  ("fields", "name"),
  [
    ({"next_sentence": "nsp"}, "mlm_nsp"),
    ({"next_sentence": "sop"}, "mlm_sop"),
    ({"next_sentence": "off"}, "mlm"),
    ({"next_sentence": "nsp", "next_sentence_weight": 0.0}, "mlm"),
  ],
)
def test_the_losses_of_a_run_name_its_objective(fields, name):
  assert objective_of(ObjectiveConfig(**fields)) == name


@pytest.mark.parametrize(
  "kind",
  [
    Kind(family="modernbert", tokenizer="byte_bpe"),
    Kind(family="albert", tokenizer="sentencepiece"),
    Kind(family=""),
    Kind(tokenizer="byte_bpe"),
    Kind(mask_unit="ngram"),
    Kind(mask_rate=0.3),
    Kind(replaced=(1.0, 0.0)),
  ],
  ids=str,
)
def test_a_kind_of_which_nothing_is_known_has_no_edges(kind):
  found = find_band(SIZES["base"], "mlm", kind, tokens=1e9, entropy=6.5)
  assert (found.low, found.high, found.beyond(99.0)) == (None, None, None)
