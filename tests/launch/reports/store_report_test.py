# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import collections
import itertools
import json

import numpy as np

from data_pipelines.tokenizers.vocabulary_extension import extend
from launch.reports import store_report
from tests.testing import report_texts
from tests.testing.html_page import HtmlPage

KINDS = ("html", "json")


def test_equal_stores_have_equal_reports_wherever_they_are(store, tmp_path):
  first = [(store.path / f"report.{kind}").read_bytes() for kind in KINDS]
  other = report_texts.make_store(
    tmp_path / "elsewhere",
    {"train": report_texts.TRAIN, "validation": report_texts.VALIDATION},
    report_texts.wordpiece(),
    source=report_texts.SOURCE,
    block_tokens=500,
  )
  files = store_report.write(other.path)
  assert [file.name for file in files] == ["report.html", "report.json"]
  assert [file.read_bytes() for file in files] == first
  # An existing report does not change the next one.
  assert [f.read_bytes() for f in store_report.write(other.path)] == first
  assert not list(other.path.glob("*.partial"))
  for data in first:
    assert b"unmistakable" not in data
    assert b"somewhere" not in data


def test_a_page_shows_all_examples_and_masks(store, report):
  examples = [
    example for row in report["samples"]["rows"] for example in row["examples"]
  ]
  becomes = collections.Counter(
    place["becomes"] for example in examples for place in example["chosen"]
  )
  page = HtmlPage(store.path / "report.html")
  assert set(becomes) == {"mask", "random", "kept"}
  for kind, count in becomes.items():
    assert page.classes[f"to-{kind}"] == count + 1  # and the legend
  assert page.classes["example"] == len(examples)


def test_a_page_is_valid_and_loads_nothing(store):
  page = HtmlPage(store.path / "report.html")
  assert page.tags["svg"] == 4
  assert all(link.startswith("#") for link in page.links)
  assert {link[1:] for link in page.links} <= set(page.ids)
  assert len(set(page.ids)) == len(page.ids) > 0
  for forbidden in ("url(h", "url(/", "@import", "<link", "<img", "<script"):
    assert forbidden not in page.source
  assert "http" not in page.source.replace(">https<", "").replace(
    "was https", ""
  )
  assert len(page.source) < 1 << 20
  text = " ".join(page.text)
  assert "1,234,567" in text
  assert "never heard of" in text


def test_text_of_the_corpus_is_escaped(tmp_path):
  hostile = [
    [report_texts.HOSTILE, 'no <script> "><kbd> here "><kbd>'] * 3
  ] * 40
  tokenizer = report_texts.sentencepiece(
    hostile, user_defined_symbols=["<script>", '"><kbd>']
  )
  made = report_texts.make_store(
    tmp_path / "store",
    {"train": hostile},
    tokenizer,
    source={"recipe": {"<em>": "<em>"}, "<script>": 1},
  )
  store_report.write(made.path)
  page = HtmlPage(made.path / "report.html")
  assert not page.tags["script"] + page.tags["em"] + page.tags["kbd"]
  assert "<script" not in page.source
  # As a token of the vocabulary, inside a title, a name and a value.
  assert {"<em>", '"><kbd>', "<script>"} <= set(page.text)
  assert "was <script>, masked" in page.titles
  assert 'was "><kbd>, masked' in page.titles


def test_one_document_is_shown_without_next_sentences(tmp_path):
  made = report_texts.make_store(
    tmp_path / "store",
    {"train": [[*itertools.chain(*report_texts.TRAIN[:9])]]},
    report_texts.wordpiece(),
  )
  store_report.write(made.path)
  report = json.loads((made.path / "report.json").read_text())
  assert report["samples"]["next_sentence"] == "off"
  assert report["pairs"] == []
  assert list(report["splits"]) == ["train"]
  text = " ".join(HtmlPage(made.path / "report.html").text)
  assert "next-sentence prediction is impossible" in text
  assert "There is no validation split" in text
  assert "B is random" not in text


def test_text_of_only_unknown_tokens_has_a_report(tmp_path):
  made = report_texts.make_store(
    tmp_path / "store", {"train": [["ж ж"], ["ж"]]}, report_texts.wordpiece()
  )
  store_report.write(made.path)
  report = json.loads((made.path / "report.json").read_text())
  assert report["splits"]["train"]["unknown_rate"] == 1
  text = " ".join(HtmlPage(made.path / "report.html").text)
  assert "100.0\u00a0% of the tokens are unknown" in text


def test_sentencepiece_tokens_are_joined_by_their_spaces(tmp_path):
  documents = [
    *report_texts.TRAIN[1:40],
    ["a river čž by night", "we find it"],
  ] * 2
  tokenizer = report_texts.sentencepiece(documents[:20])
  made = report_texts.make_store(
    tmp_path / "store",
    {"train": documents, "validation": []},
    tokenizer,
  )
  store_report.write(made.path)
  report = json.loads((made.path / "report.json").read_text(encoding="utf-8"))
  flat = np.concatenate(
    [ids for document in documents for ids in tokenizer.encode(document)]
  )
  tokens = [tokenizer.tokens[id_] for id_ in flat]
  assert any(token.startswith("<0x") for token in tokens)
  words = sum(token.startswith("▁") for token in tokens)
  assert report["splits"]["train"]["fertility"] == len(tokens) / words
  text = " ".join(HtmlPage(made.path / "report.html").text)
  assert "<mask>" in text


def test_a_page_shows_both_fertilities_of_an_extended_vocabulary(tmp_path):
  extension = extend(report_texts.wordpiece(), ["the eels " * 9], 1)
  made = report_texts.make_store(
    tmp_path / "store", {"train": report_texts.TRAIN}, extension.tokenizer
  )
  extension.save(made.tokenizer_path)
  store_report.write(made.path)
  report = json.loads((made.path / "report.json").read_text(encoding="utf-8"))
  shown = report["tokenizer"]
  assert shown["fertility_before"] == extension.before.fertility == 1.5
  assert shown["fertility_after"] == extension.after.fertility == 1
  text = HtmlPage(made.path / "report.html").text
  name = "tokens per word in the sample, before the vocabulary was extended"
  assert text[text.index(name) + 1] == "1.50"
