# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import collections
import html.parser
import itertools
import json
import types

import jax
import numpy as np
import pytest

from bertjax.config import DataConfig, ModelConfig, ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives import masking
from bertjax.objectives.pretraining import pretraining_task
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import extend
from launch.reports import samples, store_report
from tests.testing import report_texts

TRAIN = report_texts.draw_documents(150)
VALIDATION = report_texts.draw_documents(20, seed=1)
SOURCE = {
  "recipe": {"corpus": {"files": 2}, "skip": True},
  "empty_documents": 3,
  "short_documents": 1_234_567,
  "never_heard_of": 0,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  folder = tmp_path_factory.mktemp("somewhere") / "unmistakable"
  store = report_texts.make_store(
    folder,
    {"train": TRAIN, "validation": VALIDATION},
    report_texts.wordpiece(),
    source=SOURCE,
    block_tokens=500,
  )
  store_report.write(folder)
  return store


@pytest.fixture
def report(store):
  return json.loads((store.path / "report.json").read_text(encoding="utf-8"))


KINDS = ("html", "json")


class Page(html.parser.HTMLParser):
  """Elements, what they refer to, and the text between them."""

  def __init__(self, path):
    super().__init__()
    self.tags, self.links, self.text = collections.Counter(), [], []
    self.classes, self.ids, self.open = collections.Counter(), [], []
    self.titles = []
    self.source = path.read_text(encoding="utf-8")
    self.feed(self.source)
    assert not self.open

  def handle_starttag(self, tag, attrs):
    if tag not in ("meta", "link", "br", "img"):
      self.open.append(tag)
    self.handle_startendtag(tag, attrs)

  def handle_startendtag(self, tag, attrs):
    self.tags[tag] += 1
    for name, value in attrs:
      if name in ("src", "href", "xlink:href", "srcset", "data"):
        self.links.append(value)
      if name == "class":
        self.classes.update((value or "").split())
      if name == "title":
        self.titles.append(value)
      if name == "id":
        self.ids.append(value)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text.append(data)


def test_equal_stores_have_equal_reports_wherever_they_are(store, tmp_path):
  first = [(store.path / f"report.{kind}").read_bytes() for kind in KINDS]
  other = report_texts.make_store(
    tmp_path / "elsewhere",
    {"train": TRAIN, "validation": VALIDATION},
    report_texts.wordpiece(),
    source=SOURCE,
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


def test_numbers_are_those_of_the_text(store, report):
  tokenizer = report_texts.wordpiece()
  for name, documents in (("train", TRAIN), ("validation", VALIDATION)):
    split = report["splits"][name]
    ids = [
      [
        [int(id_) for id_ in sentence]
        for sentence in tokenizer.encode(document)
      ]
      for document in documents
    ]
    flat = [id_ for d in ids for sentence in d for id_ in sentence]
    sizes = {
      "sentences_per_document": [len(document) for document in ids],
      "tokens_per_sentence": [len(s) for document in ids for s in document],
      "tokens_per_document": [sum(map(len, document)) for document in ids],
    }
    assert split["documents"] == len(documents)
    assert split["sentences"] == len(sizes["tokens_per_sentence"])
    assert split["tokens"] == len(flat)
    single = sizes["sentences_per_document"].count(1)
    assert split["one_sentence_documents"] == single / len(documents)
    unknown = flat.count(tokenizer.unk_id)
    assert split["unknown_tokens"] == unknown
    assert split["unknown_rate"] == unknown / len(flat)
    words = sum(not tokenizer.tokens[id_].startswith("##") for id_ in flat)
    assert split["fertility"] == len(flat) / words
    for key, numbers in sizes.items():
      check_sizes(split[key], numbers)
    files = [*store.path.glob(f"{name}.*"), *store.path.glob(f"{name}-*")]
    size = sum(file.stat().st_size for file in files)
    assert split["bytes_per_token"] == size / len(flat)
  check_vocabulary(report["vocabulary"], tokenizer)
  assert report["counts"] == {
    name: value for name, value in SOURCE.items() if name != "recipe"
  }


def check_sizes(shown, numbers):
  assert shown["mean"] == pytest.approx(np.mean(numbers))
  assert shown["max"] == max(numbers)
  for percent, value in shown["percentiles"].items():
    truth = np.percentile(numbers, int(percent), method="inverted_cdf")
    assert value == truth
  counts = np.histogram(numbers, shown["edges"])[0]
  assert shown["counts"] == counts.tolist()
  assert sum(shown["counts"]) == len(numbers)


def check_vocabulary(shown, tokenizer):
  ids = itertools.chain.from_iterable(
    sentence.tolist() for d in TRAIN for sentence in tokenizer.encode(d)
  )
  counts = collections.Counter(ids)
  ordinary = tokenizer.vocabulary().ordinary_W.tolist()
  assert shown["ordinary"] == len(ordinary)
  assert shown["never"] == sum(id_ not in counts for id_ in ordinary) > 0
  known = {tokenizer.tokens[id_]: count for id_, count in counts.items()}
  for token in shown["commonest"]:
    assert token["count"] == known[token["piece"]]
    assert token["share"] == token["count"] / counts.total()
  most = sorted(counts.values(), reverse=True)
  assert [p["count"] for p in shown["commonest"]] == most[:40]
  for point in shown["coverage"]:
    assert point["share"] == sum(most[: point["pieces"]]) / counts.total()
  assert shown["coverage"][-1]["share"] == 1


def test_masks_are_those_of_the_train_step(store, report):
  objective = ObjectiveConfig()
  pipeline = PretrainingPipeline(
    store,
    "train",
    objective=objective,
    data=DataConfig(seq_length=128),
    batch_size=10,
    seed=0,
  )
  tokenizer = tokenizers.load(store.tokenizer_path)
  batch = pipeline.batch(0)
  task = pretraining_task(
    BertForPreTraining(ModelConfig()),  # is not called
    objective,
    tokenizer.vocabulary(store.token_counts()),
    num_slots=masking.num_slots(128, pipeline.num_packs, objective.mask_rate),
  )
  prepared = jax.device_get(jax.jit(task.prepare)(batch))
  kinds = {1: "mask", 2: "random", 3: "kept"}
  labels = {0: "next", 1: "random"}
  token_of = lambda id_: tokenizer.tokens[int(id_)]
  seen = collections.Counter()
  assert len(report["samples"]["rows"]) == 10
  for row, shown in enumerate(report["samples"]["rows"]):
    packs = batch["packs_BS"][row]
    masked = prepared["masked"]
    truth = {
      int(masked.positions_BP[row, slot]): (
        token_of(masked.targets_BP[row, slot]),
        kinds[int(masked.kind_BP[row, slot])],
      )
      for slot in np.flatnonzero(masked.weights_BP[row])
    }
    assert shown["padding"] == np.sum(packs == 0)
    assert len(shown["examples"]) == packs.max()
    for pack, example in enumerate(shown["examples"]):
      start = int(batch["starts_BR"][row, pack])
      places = range(start, start + len(example["pieces"]))
      assert set(packs[list(places)]) == {pack + 1}
      tokens = prepared["tokens_BS"][row, start : places.stop]
      assert example["pieces"] == [token_of(id_) for id_ in tokens]
      kinds_of_text = batch["types_BS"][row, start : places.stop]
      assert example["types"] == kinds_of_text.tolist()
      assert example["label"] == labels[int(batch["pair_label_BR"][row, pack])]
      assert example["specials"][0] == 0
      for place in example["chosen"]:
        found = truth.pop(start + place["position"])
        assert found == (place["was"], place["becomes"])
        seen[place["becomes"]] += 1
    assert not truth
  assert all(seen[kind] for kind in kinds.values())
  page = Page(store.path / "report.html")
  for kind in kinds.values():
    assert page.classes[f"to-{kind}"] == seen[kind] + 1  # and the legend
  assert page.classes["example"] == sum(
    len(row["examples"]) for row in report["samples"]["rows"]
  )


def test_a_child_process_draws_the_same_samples(store, report, monkeypatch):
  free = types.SimpleNamespace(
    config=types.SimpleNamespace(values={"jax_platforms": None})
  )
  monkeypatch.setattr(samples, "jax", free)
  with samples.begin(store.path) as sampled:
    assert sampled() == report["samples"]
  with (
    samples.begin(store.path / "nowhere") as sampled,
    pytest.raises(OSError, match="nowhere is not a store"),
  ):
    sampled()


def test_a_page_is_valid_and_loads_nothing(store):
  page = Page(store.path / "report.html")
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
  hostile = [[report_texts.HOSTILE, 'no <script> "><kbd> here'] * 3] * 40
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
  page = Page(made.path / "report.html")
  assert not page.tags["script"] + page.tags["em"] + page.tags["kbd"]
  assert "<script" not in page.source
  # As a token of the vocabulary, inside a title, a name and a value.
  assert {"<em>", '"><kbd>', "<script>"} <= set(page.text)
  assert "was <script>, masked" in page.titles
  assert 'was "><kbd>, masked' in page.titles


def test_one_document_is_shown_without_next_sentences(tmp_path):
  made = report_texts.make_store(
    tmp_path / "store",
    {"train": [[*itertools.chain(*TRAIN[:9])]]},
    report_texts.wordpiece(),
  )
  store_report.write(made.path)
  report = json.loads((made.path / "report.json").read_text())
  assert report["samples"]["next_sentence"] == "off"
  assert report["pairs"] == []
  assert list(report["splits"]) == ["train"]
  text = " ".join(Page(made.path / "report.html").text)
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
  text = " ".join(Page(made.path / "report.html").text)
  assert "100.0\u00a0% of the tokens are unknown" in text


def test_the_report_of_an_extended_vocabulary_has_both_fertilities(tmp_path):
  extension = extend(report_texts.wordpiece(), ["the eels " * 9], 1)
  made = report_texts.make_store(
    tmp_path / "store", {"train": TRAIN}, extension.tokenizer
  )
  extension.save(made.tokenizer_path)
  store_report.write(made.path)
  report = json.loads((made.path / "report.json").read_text(encoding="utf-8"))
  before, after = extension.before.fertility, extension.after.fertility
  assert (before, after) == (1.5, 1)
  assert report["tokenizer"]["fertility_before"] == before
  assert report["tokenizer"]["fertility_after"] == after
  text = " ".join(Page(made.path / "report.html").text)
  assert f"{before:.2f}" in text


def test_sentencepiece_tokens_are_joined_by_their_spaces(tmp_path):
  documents = [*TRAIN[1:40], ["a river čž by night", "we find it"]] * 2
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
  text = " ".join(Page(made.path / "report.html").text)
  assert "<mask>" in text
