# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from data_pipelines.corpora import sentences
from data_pipelines.corpora.sentence_rules import PRIOR, SentenceRules

RULES = SentenceRules(
  learned=frozenset({"quux", "etc"}),
  starters=frozenset({"then", "the"}),
)


def test_rules_are_read_as_they_were_written():
  for rules in (PRIOR, RULES):
    assert SentenceRules.from_json(rules.to_json()) == rules
  assert RULES.to_json() == SentenceRules.from_json(RULES.to_json()).to_json()


@pytest.mark.parametrize("change", [{"version": 9}, {"format": "x"}])
def test_rules_of_another_format_are_refused(change):
  text = json.dumps(json.loads(PRIOR.to_json()) | change)
  with pytest.raises(ValueError, match="not bertjax-sentences version 1"):
    SentenceRules.from_json(text)


def test_rules_without_a_field_are_refused():
  value = json.loads(PRIOR.to_json())
  del value["starters"]
  with pytest.raises(ValueError, match="it has no starters"):
    SentenceRules.from_json(json.dumps(value))


@pytest.mark.parametrize(
  ("text", "count"),
  [
    ("See Quux. Brown of it.", 1),
    ("Nails, hooks etc. The rest is here.", 2),
    ("In room 12. Then he left.", 2),
    ("Am 12. Oktober ging er.", 1),
    ("It is plan B. The rest is here.", 2),
    ("By J. R. Brown.", 1),
    ("By Dr. The of Hanoi.", 1),
  ],
)
def test_learned_words_decide(text, count):
  assert len(sentences.split(text, "segment", RULES)) == count


def test_a_sample_in_lower_case_makes_small_letters_start_sentences():
  rules = SentenceRules(lower_case=True, starters=frozenset())
  assert sentences.split("go home. be good.", "segment", rules) == [
    "go home.",
    "be good.",
  ]
  assert sentences.split("go home. be good.") == ["go home. be good."]
