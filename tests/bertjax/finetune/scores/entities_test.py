# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import random
import warnings

import pytest
from seqeval import metrics
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from bertjax.finetune.scores import entities

TYPES = ("PER", "LOC", "geo-loc")
TAGS = ("O", "B", "I", *(f"{p}-{t}" for p in "BIES" for t in TYPES))


def random_tags(draws: random.Random, tags=TAGS, words=8) -> list[str]:
  return [draws.choice(tags) for _ in range(draws.randint(0, words))]


def test_entities_by_hand():
  tags = ["B-PER", "I-PER", "O", "I-LOC", "I-PER", "S-LOC", "E-LOC"]
  assert entities.find_entities(tags) == [
    ("PER", 0, 2),
    ("LOC", 3, 4),  # no B before it: repaired
    ("PER", 4, 5),
    ("LOC", 5, 6),
    ("LOC", 6, 7),
  ]
  assert entities.find_entities(tags, "BIO") == [("PER", 0, 2)]
  assert entities.find_entities(tags, "BIOES") == [("LOC", 5, 6)]
  assert entities.find_entities([]) == []


def test_the_lenient_reading_is_that_of_seqeval():
  draws = random.Random(0)
  for _ in range(2000):
    tags = random_tags(draws)
    found = entities.find_entities(tags)
    assert [(type_, start, stop - 1) for type_, start, stop in found] == [
      tuple(entity) for entity in get_entities(tags)
    ], tags


@pytest.mark.parametrize(
  ("reading", "scheme"), [("BIO", IOB2), ("BIOES", IOBES)]
)
def test_strict_readings_are_those_of_seqeval(reading, scheme):
  draws = random.Random(1)
  tags = [tag for tag in TAGS if tag[0] in reading]
  for _ in range(2000):
    drawn = random_tags(draws, tags)
    theirs = Entities([drawn], scheme).entities[0]
    assert entities.find_entities(drawn, reading) == [
      (entity.tag, entity.start, entity.end) for entity in theirs
    ], drawn


def test_scores_are_those_of_seqeval():
  draws = random.Random(2)
  for number in range(200):
    # Short texts often have no entity at all, or none that is predicted.
    answers = [random_tags(draws, words=number % 7) for _ in range(3)]
    predictions = [
      [tag if draws.random() < 0.6 else draws.choice(TAGS) for tag in tags]
      for tags in answers
    ]
    counts = entities.count_entities(predictions, answers)
    scores = entities.entity_scores(counts)
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # of shares of nothing
      assert scores["precision"] == pytest.approx(
        metrics.precision_score(answers, predictions)
      )
      assert scores["recall"] == pytest.approx(
        metrics.recall_score(answers, predictions)
      )
      assert scores["f1"] == pytest.approx(
        metrics.f1_score(answers, predictions)
      )
      if counts.types:  # seqeval averages an empty array to nan
        assert scores["macro_f1"] == pytest.approx(
          metrics.f1_score(answers, predictions, average="macro")
        )


def test_no_entity_scores_zero():
  counts = entities.count_entities([["O", "O"]], [["O", "O"]])
  assert counts.types == ()
  assert set(entities.entity_scores(counts).values()) == {0}


@pytest.mark.parametrize("tag", ["NOUN", "X-PER", "B-", "", "OPER", "o"])
def test_a_tag_of_another_form_is_refused(tag):
  with pytest.raises(ValueError, match=f"the tag '{tag}' is not O, nor B-"):
    entities.find_entities(["O", tag])


def test_texts_need_as_many_predicted_tags_as_true_ones():
  with pytest.raises(ValueError, match="text 1 has 1 predicted tags and 2"):
    entities.count_entities([["O"], ["O"]], [["O"], ["O", "O"]])
  with pytest.raises(ValueError, match="no examples"):
    entities.count_entities([], [])
