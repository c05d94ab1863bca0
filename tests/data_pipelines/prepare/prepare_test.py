# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of preparing: one text makes one store."""

import dataclasses
import gc
import gzip

import pytest

from data_pipelines.corpora import (
  documents,
  sentences,
)
from data_pipelines.corpora.sentence_rules import SentenceRules
from data_pipelines.prepare import learning, prepare
from data_pipelines.store.store import open_store
from data_pipelines.tokenizers import kinds, tokenizers
from data_pipelines.tokenizers.special_tokens import SPECIALS
from tests.testing.prepared import TEXTS, files, stored, write_jsonl


def test_store_holds_every_sentence_in_the_order_of_the_hashes(options):
  summary = prepare.prepare(options)
  store = open_store(options.output)
  tokenizer = tokenizers.load(options.output)
  learned = (store.path / "sentences.json").read_text(encoding="utf-8")
  rules = SentenceRules.from_json(learned)
  expected = {"train": [], "validation": []}
  for text in sorted(TEXTS, key=documents.digest):
    split = documents.share(documents.digest(text)) < 0.2
    cut = sentences.split(text, "segment", rules)
    ids = [ids.tolist() for ids in tokenizer.encode(cut)]
    expected["validation" if split else "train"].append(ids)
  for name, found in expected.items():
    assert stored(store.split(name)) == found
    assert summary.splits[name] == {
      "documents": len(found),
      "sentences": sum(map(len, found)),
      "tokens": sum(len(ids) for document in found for ids in document),
    }
  assert 0 < len(expected["validation"]) < 30
  assert store.manifest.tokenizer.sha256 == tokenizer.sha256
  assert store.special_ids["mask"] == tokenizer.mask_id
  assert summary.new
  assert summary.tokens_encoded == sum(
    split["tokens"] for split in summary.splits.values()
  )
  store.verify()


def test_summary_counts_unknown_tokens_and_bytes(options, tmp_path):
  path = write_jsonl(tmp_path / "odd.jsonl", [*TEXTS, "漢 " * 500])
  summary = prepare.prepare(dataclasses.replace(options, corpus=path))
  store = open_store(options.output)
  train = [
    ids for document in stored(store.split("train"))
    for sentence in document for ids in sentence
  ]  # fmt: skip
  unknown = tokenizers.load(options.output).unk_id
  assert summary.unknown_rate == train.count(unknown) / len(train)
  tokens = (
    store.split("train").num_tokens + store.split("validation").num_tokens
  )
  size = sum(path.stat().st_size for path in store.path.rglob("*.*"))
  assert summary.bytes_per_token == pytest.approx(size / tokens)


def test_splits_do_not_depend_on_how_the_corpus_is_cut_into_files(
  options, tmp_path
):
  prepare.prepare(options)
  (tmp_path / "parts").mkdir()
  shuffled = TEXTS[::-1]
  for i in range(5):
    data = "\n\n".join(shuffled[i * 12 : i * 12 + 12]).encode()
    (tmp_path / "parts" / f"{i}.txt.gz").write_bytes(gzip.compress(data))
  other = dataclasses.replace(
    options,
    corpus=f"{tmp_path}/parts/*.gz",
    documents="blank_line",
    output=str(tmp_path / "other"),
  )
  prepare.prepare(other)
  one, two = (open_store(o.output).manifest for o in (options, other))
  assert one.splits == two.splits
  assert one.source != two.source


def test_learned_tokenizer_does_not_depend_on_the_files_either(
  options, tmp_path
):
  reverse = write_jsonl(tmp_path / "reverse.jsonl", TEXTS[::-1])
  hashes = set()
  for corpus in (options.corpus, reverse):
    learned = dataclasses.replace(
      options,
      corpus=corpus,
      output=corpus + ".store",
      tokenizer="wordpiece",
      vocab_size=60,
    )
    summary = prepare.prepare(learned)
    assert (summary.tokenizer, summary.vocab_size) == ("wordpiece", 60)
    hashes.add(open_store(summary.path).manifest.tokenizer.sha256)
  assert len(hashes) == 1


def test_tokenizer_is_learned_from_training_documents_only(
  options, monkeypatch
):
  seen = []
  train = tokenizers.train

  def watched(texts, *args, **kwargs):
    seen.extend(texts)
    return train(texts, *args, **kwargs)

  monkeypatch.setattr(tokenizers, "train", watched)
  monkeypatch.setitem(tokenizers.SAMPLE_CHARACTERS, "wordpiece", 4000)
  prepare.prepare(
    dataclasses.replace(options, tokenizer="wordpiece", vocab_size=60)
  )
  digests = [documents.digest(text) for text in seen]
  assert digests == sorted(digests)
  assert all(documents.share(digest) >= 0.2 for digest in digests)
  # Those of the least hashes, up to the size.
  ranked = sorted(
    documents.digest(text)
    for text in TEXTS
    if documents.share(documents.digest(text)) >= 0.2
  )
  assert 3000 < sum(map(len, seen)) <= 4000
  assert digests == ranked[: len(digests)]


def test_workers_make_the_same_bytes(options, tmp_path, monkeypatch):
  prepare.prepare(options)
  monkeypatch.setattr("data_pipelines.prepare.encoding._BATCH_CHARACTERS", 500)
  other = dataclasses.replace(
    options, workers=2, output=str(tmp_path / "other")
  )
  prepare.prepare(other)
  assert files(tmp_path / "store") == files(tmp_path / "other")


BAD = {
  "utf8": (b'{"text": "\xff"}\n', r"corpus.jsonl:61: not UTF-8"),
  "json": (b'{"text": \n', r"corpus.jsonl:61: not JSON"),
  "field": (b'{"title": "x"}\n', r'corpus.jsonl:61: no "text" field'),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("learn", [True, False])
def test_bad_records_leave_nothing_behind_or_are_counted(
  kind, learn, options, tmp_path
):
  data, message = BAD[kind]
  with open(options.corpus, "ab") as file:
    file.write(data)
  if learn:
    options = dataclasses.replace(options, tokenizer="wordpiece", vocab_size=60)
  before = sorted(tmp_path.iterdir())
  with pytest.raises(ValueError, match=message):
    prepare.prepare(options)
  assert sorted(tmp_path.iterdir()) == before
  skipping = dataclasses.replace(options, skip_bad_records=True)
  summary = prepare.prepare(skipping)
  assert summary.counts["skipped_records"] == 1
  assert sum(split["documents"] for split in summary.splits.values()) == 60


@pytest.mark.parametrize("learn", [True, False])
def test_a_corpus_without_text_is_refused(learn, options, tmp_path):
  texts = ["", " \n"] if learn else ["", "\u200b"]
  corpus = write_jsonl(tmp_path / "empty.jsonl", texts)
  options = dataclasses.replace(options, corpus=corpus)
  if learn:
    options = dataclasses.replace(options, tokenizer="wordpiece")
  with pytest.raises(ValueError, match=r"corpus .*empty.jsonl has no text"):
    prepare.prepare(options)
  assert not (tmp_path / "store.partial").exists()


def test_empty_documents_are_counted(options, tmp_path):
  corpus = write_jsonl(tmp_path / "some.jsonl", ["", *TEXTS, " ", "\u200b"])
  summary = prepare.prepare(dataclasses.replace(options, corpus=corpus))
  assert summary.counts["empty_documents"] == 3
  assert sum(split["documents"] for split in summary.splits.values()) == 60


def test_manifest_knows_no_place_and_no_time(options, tmp_path):
  prepare.prepare(options)
  text = (tmp_path / "store" / "manifest.json").read_text(encoding="utf-8")
  assert str(tmp_path) not in text
  assert "corpus.jsonl" not in text


def test_vocabulary_without_a_special_piece_is_refused(options, tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(SPECIALS[:-1]), encoding="utf-8")
  with pytest.raises(ValueError, match=r"vocab.txt has no \[MASK\]"):
    prepare.prepare(dataclasses.replace(options, tokenizer=str(path)))


def test_sentencepiece_makes_a_store_too(options, tmp_path):
  spm = dataclasses.replace(
    options, tokenizer="sentencepiece", vocab_size=50, sentences="lines"
  )
  summary = prepare.prepare(spm)
  assert (summary.tokenizer, summary.vocab_size) == ("sentencepiece", 50)
  assert summary.unknown_rate == 0
  tokenizer = tokenizers.load(options.output)
  store = open_store(options.output)
  store.check_tokenizer(tokenizer.sha256)
  first = min(
    (text for text in TEXTS
     if documents.share(documents.digest(text)) >= 0.2),
    key=documents.digest,
  )  # fmt: skip
  assert tokenizer.decode(stored(store.split("train"))[0][0]) == first.lower()


def test_books_become_a_store(options, real_data, tmp_path):
  books = real_data / "books" / "valid-00000-of-00001.jsonl.xz"
  vocabulary = real_data / "vocab" / "bert-base-uncased-vocab.txt"
  summary = prepare.prepare(
    dataclasses.replace(
      options,
      corpus=str(books),
      tokenizer=str(vocabulary),
    )
  )
  tokens = sum(split["tokens"] for split in summary.splits.values())
  assert tokens > 400_000
  assert summary.unknown_rate < 1e-4
  # Two bytes an id, and the index, padding and vocabulary of a small store.
  assert 2 < summary.bytes_per_token < 6


@pytest.mark.parametrize(
  ("given", "lost"), [({}, 1 / 3), ({"strip_accents": False}, 0.0)]
)
def test_letters_are_measured_and_rules_are_kept(
  given, lost, options, tmp_path
):
  """A third of the letters are vowel signs, which BERT's rules remove."""
  texts = [f"\u0915\u0941\u092e {word}" for word in ("कुम", "मकु")] * 9
  asked = dataclasses.replace(
    options,
    corpus=write_jsonl(tmp_path / "hindi.jsonl", texts),
    tokenizer="wordpiece",
    vocab_size=90,
    validation="0",
    **given,
  )
  prepare.prepare(asked)
  store = open_store(options.output)
  letters = store.manifest.source["letters"]
  assert letters["lost_marks"] == pytest.approx(lost)
  assert letters["unknown"] == 0
  assert letters["characters"] == sum(len(t) - 1 for t in texts)
  tokenizer = tokenizers.load(options.output)
  assert ("##\u0941" in tokenizer.tokens) == (not lost)
  assert tokenizer.strip_accents == bool(lost)
  assert store.manifest.tokenizer.sha256 == tokenizer.sha256


def test_letters_that_a_given_tokenizer_lacks_are_measured(options, tmp_path):
  text = "漢字 漢 " * 400
  path = write_jsonl(tmp_path / "odd.jsonl", [text, *TEXTS])
  prepare.prepare(dataclasses.replace(options, corpus=path))
  letters = open_store(options.output).manifest.source["letters"]
  assert letters["unknown_commonest"][:2] == "漢字"
  assert letters["unknown"] == len(letters["unknown_commonest"])
  assert letters["unknown_share"] >= 1200 / letters["characters"]


def test_removed_nuls_are_counted(options, tmp_path):
  corpus = write_jsonl(tmp_path / "nul.jsonl", [*TEXTS, "a\0b\0", "c\0"])
  summary = prepare.prepare(dataclasses.replace(options, corpus=corpus))
  assert summary.counts["nul_characters"] == 3


@pytest.mark.parametrize("held", [True, False])
def test_text_that_grows_while_it_is_read_is_refused(
  held, options, tmp_path, monkeypatch
):
  if not held:
    monkeypatch.setattr(learning, "_MAX_HELD", 0)
  grown = False

  def grow(stage, share, tokens):
    nonlocal grown
    if not grown:
      write_jsonl(tmp_path / "more.jsonl", ["more text"])
      with open(options.corpus, "ab") as file:
        file.write((tmp_path / "more.jsonl").read_bytes())
      grown = True

  with pytest.raises(ValueError, match=r"corpus.jsonl was changed while"):
    prepare.prepare(options, grow)
  assert not (tmp_path / "store.partial").exists()
  summary = prepare.prepare(options)
  assert sum(split["documents"] for split in summary.splits.values()) == 61


def test_garbage_is_collected_as_before_afterwards(options):
  before, inside = gc.get_threshold(), set()
  prepare.prepare(options, lambda *_: inside.add(gc.get_threshold()[0]))
  assert inside == {100_000}
  assert gc.get_threshold() == before


@pytest.mark.parametrize("kind", kinds.BYTE_LEVEL)
def test_a_store_keeps_the_special_tokens_of_its_tokenizer(kind, options):
  prepare.prepare(dataclasses.replace(options, tokenizer=kind, vocab_size=300))
  store, tokenizer = open_store(options.output), tokenizers.load(options.output)
  assert store.manifest.tokenizer.name == tokenizer.name == "byte_bpe"
  assert store.template == tokenizer.template
  text = (store.path / "manifest.json").read_text(encoding="utf-8")
  assert ('"template"' in text) == (kind == "roberta")
  for document in stored(store.split("validation")):
    ids = [id_ for sentence in document for id_ in sentence]
    assert tokenizer.decode(ids) in {" ".join(t.split()) for t in TEXTS}
