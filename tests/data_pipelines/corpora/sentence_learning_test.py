# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import json
import lzma

import pytest

from data_pipelines.corpora import sentences
from data_pipelines.corpora.sentence_learning import learn_rules
from data_pipelines.corpora.sentence_rules import PRIOR

NOUNS = ("Haus", "Tisch", "Garten", "Vertrag", "Besitzer", "Oktober", "Bruder")
NAMES = ("Müller", "Schmidt", "Weber", "Maier")
FORMS = (
  "Die Firma von {0} hat am 3. {1} den {2} gesehen.",
  "Der Chef ging durch das Haus, und die Leute sahen das alles.",
  "Das zeigt Nachtr. {3} des Vertrags, vgl. Nachtr. {3} im Entwurf.",
  "Der Dipl. {0} kam, und der Dipl. {0} ging, als das Fest begann.",
  "Am Ende war nur der {1} übrig, usf. das Dach usf. und die Tür.",
)


def german(count):
  turns = zip(itertools.cycle(NAMES), itertools.cycle(NOUNS), strict=False)
  found = []
  for i, (name, noun) in enumerate(itertools.islice(turns, count)):
    form = FORMS[i % len(FORMS)]
    found.append(form.format(name, noun, NOUNS[i % 5], i % 30 + 1))
  return found


def test_abbreviations_and_ordinals_of_a_language_are_learned():
  parts = german(400)
  text = " ".join(parts)
  rules = learn_rules([text])
  assert {"nachtr", "dipl", "usf"} <= rules.learned
  # Words that often end sentences are no abbreviations.
  assert rules.learned.isdisjoint(("tür", "begann", "gesehen", "alles", "haus"))
  assert rules.starters is not None
  assert {"der", "das", "die", "am"} <= rules.starters
  assert rules.starters.isdisjoint(map(str.lower, (*NOUNS, *NAMES)))
  assert sentences.split(text, "segment", rules) == parts
  # Without having learned it, the same text has other sentences.
  assert len(sentences.split(text)) > len(parts) + 50


@pytest.mark.parametrize(
  ("text", "count"),
  [
    ("Siehe Nachtr. 7 und Nachtr. Neun.", 1),
    ("Es war am 3. Mai. Das war schön.", 2),
    ("Er zog in Zimmer 12. Der Chef sah das.", 2),
    ("Balken, Latten usf. Das war alles.", 2),
  ],
)
def test_what_was_learned_holds_for_other_text(text, count):
  rules = learn_rules(german(400))
  assert len(sentences.split(text, "segment", rules)) == count


def test_what_the_text_uses_as_a_word_is_no_abbreviation_of_it():
  assert "sen" in PRIOR.abbreviations
  text = "han kom hem och gick sen ut igen. Det var sent sen. " * 40
  assert "sen" not in learn_rules([text]).abbreviations
  text = "We met Sen. Brown and the sen. from there. She saw Sen. Smith. " * 40
  assert "sen" in learn_rules([text]).abbreviations


def test_a_tiny_sample_leaves_the_built_in_rules():
  rules = learn_rules(["Dr. Brown came. He left."])
  assert rules.abbreviations == PRIOR.abbreviations
  assert rules.learned == frozenset()
  assert learn_rules([]).starters == frozenset()


def test_a_sample_in_lower_case_is_noticed():
  lower = "we went home. it was late! was it? yes. "
  assert learn_rules([lower * 20]).lower_case
  # A capital here and there changes nothing.
  assert learn_rules([lower * 20 + "Then Tom came. "]).lower_case
  assert not learn_rules([lower]).lower_case  # too few to tell
  assert not learn_rules(german(100)).lower_case


def test_one_document_does_not_fill_the_sample(monkeypatch):
  name = "data_pipelines.corpora.sentence_learning"
  monkeypatch.setattr(f"{name}.DOCUMENT_CHARACTERS", 1000)
  monkeypatch.setattr(f"{name}.SAMPLE_CHARACTERS", 1500)
  own = "Der Xyz. {0} kam, und der Xyz. {0} ging. "
  texts = ["Nichts. " * 200, own.format("Weber") * 20, own * 200]
  assert "xyz" in learn_rules(texts).learned
  assert learn_rules(texts) == learn_rules(texts[:2])


def test_words_that_end_the_sentences_of_a_template_are_no_abbreviations():
  parts = ["He saw the dark.", "They met the mayor.", "It was late."]
  rules = learn_rules([" ".join(parts * 90)])
  assert rules.learned == frozenset()
  assert sentences.split(" ".join(parts * 2), "segment", rules) == parts * 2


def test_few_sentences_of_books_have_no_letter(real_data):
  path = real_data / "books" / "train-00000-of-00007.jsonl.xz"
  with lzma.open(path, "rt", encoding="utf-8") as lines:
    texts = [json.loads(line)["text"] for line in itertools.islice(lines, 40)]
  rules = learn_rules(texts)
  found = [
    each for text in texts for each in sentences.split(text, rules=rules)
  ]
  bare = sum(not any(map(str.isalnum, each)) for each in found)
  assert len(found) > 50_000
  # 1.47 % where each mark of "! ! !" and ". . ." ended a sentence.
  assert bare / len(found) <= 0.0025
