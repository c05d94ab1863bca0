# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pathlib

import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks import tagging
from data_pipelines.tasks.batches import RowOptions
from data_pipelines.tokenizers import tokenizers
from tests.testing import hub_rows, small

ROWS = RowOptions(8)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  return tokenizers.load(
    small.make_tokenizer(tmp_path_factory.mktemp("a") / "tokenizer")
  )


def write(path: pathlib.Path, *sentences):
  blocks = [
    "".join(f"{word}\t{tag}\n" for word, tag in sentence)
    for sentence in sentences
  ]
  path.write_text("\n".join(blocks))
  return str(path)


@pytest.fixture
def data(tmp_path, tokenizer):
  """A sentence of one window and one of three: cods is two tokens."""
  long = [("cods", "B-fish"), ("the", "O")] * 4
  config = TaskConfig(
    kind="conll",
    train=write(tmp_path / "train", [("a", "O"), ("elm", "I-tree")], long),
    dev=write(tmp_path / "dev", [("a", "O"), ("elm", "I-tree")]),
    test_rate=0.0,
    stride=3,
  )
  return tagging.read(config, tokenizer, ROWS)


def test_a_tag_is_on_the_first_token_of_its_word_once(data):
  assert data.labels == ("B-fish", "I-tree", "O")
  assert data.settings == {"stride": 3}
  split = data.splits["train"]
  (batch,) = split.evaluation(8)
  assert (len(split), split.num_windows) == (2, 4)
  assert split.owners_N.tolist() == [0, 1, 1, 1]
  assert batch.arrays["weight_BS"].sum() == 2 + 8
  weighted = batch.arrays["weight_BS"] == 1
  tokens = {small.TOKENS[t] for t in batch.arrays["tokens_BS"][weighted]}
  assert tokens == {"a", "elm", "cod", "the"}  # never ##s
  assert sorted(batch.arrays["tags_BS"][weighted]) == [0] * 4 + [1] + [2] * 5


def test_every_token_is_in_a_window_and_each_word_has_its_place(data):
  split = data.splits["train"]
  long = split.examples[1]
  arrays = split._arrays
  for word, window, place in zip(
    long.words, long.window_W, long.place_W, strict=True
  ):
    token = small.TOKENS[arrays["tokens_BS"][1 + window, place]]
    assert token == {"cods": "cod", "the": "the"}[word]
  assert long.text == " ".join(long.words)
  for word, (start, stop) in zip(long.words, long.offsets_W2, strict=True):
    assert long.text[start:stop] == word


def test_figures_count_entities_windows_and_invalid_tags(data):
  figures = data.figures
  assert figures.labels == ("fish", "tree", "O")
  train = figures.splits["train"]
  assert train.by_class == (4, 1, 5)
  assert (train.windows, train.cut, train.invalid_tags) == (4, 0, 1)
  assert figures.splits["dev"].shared == 1
  # Where no tag begins with B or S, I tags are the scheme.
  assert figures.splits["dev"].invalid_tags == 0


def test_a_tag_that_train_lacks_is_refused(tmp_path, tokenizer):
  config = TaskConfig(
    kind="conll",
    train=write(tmp_path / "train", [("a", "O"), ("elm", "B-tree")]),
    dev=write(tmp_path / "dev", [("a", "O")], [("cod", "B-fish")]),
    test_rate=0.0,
  )
  with pytest.raises(ValueError, match=r"dev:3: .* tag 'B-fish', and task.tra"):
    tagging.read(config, tokenizer, ROWS)


def test_a_word_without_a_token_is_unknown(tokenizer):
  text = "a \u200b cod"
  words = text.split(" ")
  _, offsets_W2 = tagging.join_words(words)
  encoded = tagging.encode_words(tokenizer, [(text, offsets_W2, words)], 8, 4)
  tokens = encoded.rows.features["tokens_BS"][0, :5].tolist()
  assert [small.TOKENS[t] for t in tokens] == [
    *("[CLS]", "a", "[UNK]", "cod", "[SEP]")
  ]
  assert encoded.rows.unknown == 1
  assert encoded.examples[0].place_W.tolist() == [1, 2, 3]


def test_no_room_for_text_is_refused(tokenizer):
  with pytest.raises(ValueError, match="seq_length=2 leaves no room for text"):
    tagging.encode_words(tokenizer, [], 2, 1)


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("", ()),
    ("  a\n b ", ("a", "b")),
    ('"(Paris)."', ('"', "(", "Paris", ")", ".", '"')),
    ("U.S.-based 3.5% @bob, #x", ("U.S.-based", "3.5", "%", "@bob", ",", "#x")),
    ("...", (".", ".", ".")),
  ],
)
def test_raw_text_is_split_at_white_space_and_outer_marks(text, words):
  found, offsets_W2 = tagging.split_words(text)
  assert found == words
  assert offsets_W2.shape == (len(words), 2)
  assert tuple(text[a:b] for a, b in offsets_W2) == words


@pytest.mark.parametrize(
  ("tags", "count"),
  [
    (("B-a", "I-a", "O"), 0),
    (("O", "I-a", "I-a"), 1),
    (("B-a", "I-b"), 1),
    (("B-a", "E-a", "I-a"), 1),
    (("S-a", "E-b"), 1),
  ],
)
def test_entities_that_begin_inside_are_counted(tags, count):
  assert tagging.count_invalid(tags) == count


def test_targets_are_zero_in_padding(data):
  batch = data.splits["train"].training(seed=0, step=0, batch_size=4)
  assert (batch["weight_BS"][batch["packs_BS"] == 0] == 0).all()
  assert np.issubdtype(batch["tags_BS"].dtype, np.int32)


def test_balanced_tags_have_the_same_weight_in_all(tmp_path, tokenizer):
  words = [("a", "O"), ("elm", "I-tree"), ("the", "O"), ("cod", "O")]
  path = write(tmp_path / "train", words, words)
  config = TaskConfig(
    kind="conll", train=path, dev=path, test_rate=0.0, class_weights="balanced"
  )
  splits = tagging.read(config, tokenizer, ROWS).splits
  batch = splits["train"].training(seed=0, step=0, batch_size=2)
  for tag in (0, 1):
    weight = batch["weight_BS"][batch["tags_BS"] == tag].sum()
    assert weight == pytest.approx(4)
  (dev,) = splits["dev"].evaluation(2)
  assert set(dev.arrays["weight_BS"].ravel()) == {0, 1}


def test_one_file_is_read_for_a_model_that_has_tags(tmp_path, tokenizer):
  path = write(tmp_path / "new", [("a", "O"), ("elm", "I-tree")])
  config = TaskConfig(kind="conll", train="gone", test=path, stride=3)
  labels = ("B-fish", "I-tree", "O")
  data = tagging.read(config, tokenizer, ROWS._replace(labels=labels))
  assert [*data.splits] == [*data.figures.splits] == ["test"]
  assert data.labels == labels
  with pytest.raises(ValueError, match=r"new:1: a word has the tag 'I-tree'"):
    tagging.read(config, tokenizer, ROWS._replace(labels=labels[::2]))


def test_sentences_with_a_tag_that_train_lacks_are_skipped_if_asked(
  tmp_path, tokenizer
):
  path = tmp_path / "new"
  path.write_text("a O\n\nelm I-tree\n")
  config = TaskConfig(kind="conll", test=str(path), skip_bad_rows=True)
  rows = ROWS._replace(labels=("B-fish", "O"))
  data = tagging.read(config, tokenizer, rows)
  assert data.figures.splits["test"].examples == 1
  (skipped,) = data.figures.table.skipped
  assert "new:3: a word has the tag 'I-tree'" in skipped
  assert data.figures.table.rows == 2


def test_rows_are_the_data_of_their_columns(tmp_path, tokenizer):
  sentences = [("a", "O"), ("elm", "I-tree")], [("cods", "B-fish")] * 5
  columns = write(tmp_path / "train", *sentences)
  rows = hub_rows.write(tmp_path / "train.jsonl", *sentences)
  named = hub_rows.write(
    tmp_path / "named.jsonl", *sentences, words="w", tags="t"
  )
  found = []
  for path, words, tags in (
    (columns, "tokens", "ner_tags"),
    (rows, "tokens", "ner_tags"),
    (named, "w", "t"),
  ):
    config = TaskConfig(
      kind="conll",
      train=path,
      dev=columns,
      test_rate=0.0,
      stride=3,
      words=words,
      tags=tags,
    )
    data = tagging.read(config, tokenizer, ROWS)
    found.append((data.labels, data.splits["train"].sha256()))
  assert found[0] == found[1] == found[2]


def test_tags_of_io_may_lack_their_prefix_in_each_file(tmp_path, tokenizer):
  config = TaskConfig(
    kind="conll",
    train=write(tmp_path / "train", [("a", "O"), ("elm", "I-tree")]),
    dev=write(tmp_path / "dev", [("a", "O"), ("oak", "tree")]),
    test=hub_rows.write(tmp_path / "a.jsonl", [("a", "O"), ("ash", "tree")]),
  )
  data = tagging.read(config, tokenizer, ROWS)
  assert data.labels == ("I-tree", "O")
  for split in data.figures.splits.values():
    assert split.by_class == (1, 1)
    assert split.invalid_tags == 0


def test_words_are_cut_as_they_are_in_their_text():
  text = "(the fox) is the fox"
  learned = tokenizers.train([text] * 4, "roberta", 300)
  encoded = tagging.encode_raw(learned, [text], 32, 16)
  (row,) = encoded.rows.features["tokens_BS"]
  (ids,) = learned.encode([text])
  assert row[: len(ids) + 2].tolist() == learned.template.join(ids).tolist()
