# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Data of token classification: words with a tag each.

The tag of a word stands on its first token (Devlin et al., 2018, section 5.3),
in the window where that token has most context; elsewhere is no loss.
"""

import collections
import dataclasses
import itertools
import unicodedata
from collections.abc import Sequence

import numpy as np

from bertjax.batch import Batch
from bertjax.config import TaskConfig
from data_pipelines.tasks import sliding
from data_pipelines.tasks.batches import MeasuredData, RowOptions, TaskBatches
from data_pipelines.tasks.classification import balance
from data_pipelines.tasks.features import EncodedTexts, Tokenizer, make_rows
from data_pipelines.tasks.figures import (
  SplitFigures,
  TaskFigures,
  alike_labels,
)
from data_pipelines.tasks.sentences import (
  OUTSIDE,
  Sentence,
  text_key,
  unknown_tag,
)
from data_pipelines.tasks.splits import (
  count_contradicting,
  count_shared,
  data_name,
)
from data_pipelines.tasks.tagged_files import load_sentences

# Marks that begin a word of social media instead of standing before it.
_KEPT = "@#"


@dataclasses.dataclass(frozen=True)
class Words:
  """The words of a text, and where a model reads them.

  Attributes:
    text: the text.
    words: its words.
    offsets_W2: int64, the first character of each word and the one after it.
    window_W: int64, the window of the text in which each word counts.
    place_W: int64, the position of its first token in that window, from [CLS].
  """

  text: str
  words: tuple[str, ...]
  offsets_W2: np.ndarray
  window_W: np.ndarray
  place_W: np.ndarray


@dataclasses.dataclass(frozen=True)
class EncodedWords:
  """Windows of texts, and what was counted while they were made.

  Attributes:
    rows: a row for each window; nothing is cut. A word without a token has the
      unknown one.
    examples: the words of each text.
  """

  rows: EncodedTexts
  examples: tuple[Words, ...]


def split_words(text: str) -> tuple[tuple[str, ...], np.ndarray]:
  """Return the words of a text that nobody has split, and their offsets.

  Words end at white space, and punctuation at either end of a word is a word
  of its own, as in the data of the shared tasks: "U.S.-based" is one word, and
  "(Paris)." is four. An @ or # at the start belongs to the word.

  Returns:
    The words, and int64 [W, 2], the first character of each word and the one
    after its last one.
  """
  offsets = []
  for place, group in itertools.groupby(
    enumerate(text), lambda each: each[1].isspace()
  ):
    if not place:
      places = [at for at, _ in group]
      offsets += _split_marks(text, places[0], places[-1] + 1)
  words = tuple(text[start:stop] for start, stop in offsets)
  return words, np.asarray(offsets, np.int64).reshape(-1, 2)


def _split_marks(text: str, start: int, stop: int) -> list[tuple[int, int]]:
  before, after = [], []
  while stop - start > 1 and _is_mark(text[start]) and text[start] not in _KEPT:
    before.append((start, start + 1))
    start += 1
  while stop - start > 1 and _is_mark(text[stop - 1]):
    after.append((stop - 1, stop))
    stop -= 1
  return [*before, (start, stop), *reversed(after)]


def _is_mark(character: str) -> bool:
  return unicodedata.category(character).startswith("P")


def join_words(words: Sequence[str]) -> tuple[str, np.ndarray]:
  """Return words with a space between them, and their offsets."""
  size_W = np.asarray([len(word) for word in words], np.int64)
  stop_W = np.cumsum(size_W + 1) - 1
  return " ".join(words), np.stack([stop_W - size_W, stop_W], axis=1)


def encode_words(
  tokenizer: Tokenizer,
  texts: Sequence[tuple[str, np.ndarray, Sequence[str]]],
  seq_length: int,
  stride: int,
) -> EncodedWords:
  """Encode the words of texts as windows.

  Args:
    tokenizer: encodes each word by itself.
    texts: a text, and the offsets of its words, and the words.
    seq_length: positions of a window.
    stride: tokens from the start of a window to that of the next one.

  Raises:
    ValueError: `seq_length` has no room for a token.
  """
  specials = tokenizer.template.count(pair=False)
  if seq_length <= specials:
    raise ValueError(
      f"seq_length={seq_length} leaves no room for text beside {specials} "
      f"special tokens; give {specials + 1} or more"
    )
  every = [
    tokenizer.after_space(word) if text[start - 1 : start].isspace() else word
    for text, offsets_W2, words in texts
    for word, (start, _) in zip(words, offsets_W2.tolist(), strict=True)
  ]
  encoded = iter(tokenizer.encode(every))
  unknown = np.asarray([tokenizer.vocabulary().unk_id], np.int32)
  parts, owners, examples = [], [], []
  tokens = unknowns = 0
  for number, (text, offsets_W2, words) in enumerate(texts):
    found = [
      ids if len(ids) else unknown
      for ids in itertools.islice(encoded, len(words))
    ]
    ids_T = np.concatenate([np.zeros(0, np.int32), *found])
    tokens += len(ids_T)
    unknowns += int((ids_T == unknown).sum())
    first_W = np.cumsum([0, *map(len, found)])[:-1]
    windows = sliding.slide(len(ids_T), seq_length - specials, stride)
    window_W = sliding.most_context(windows, len(ids_T))[first_W]
    starts = np.asarray([window.start for window in windows])
    parts += [(ids_T[slice(*window)], None) for window in windows]
    owners += [number] * len(windows)
    place_W = first_W - starts[window_W] + tokenizer.template.start
    examples.append(Words(text, tuple(words), offsets_W2, window_W, place_W))
  rows = make_rows(tokenizer, parts, seq_length)
  owner_N = np.asarray(owners, np.int64)
  return EncodedWords(
    EncodedTexts(rows, 0, 0, tokens, unknowns, len(every), owner_N),
    tuple(examples),
  )


def encode_raw(
  tokenizer: Tokenizer, texts: Sequence[str], seq_length: int, stride: int
) -> EncodedWords:
  """Encode texts that nobody has split into words; see `split_words`."""
  split = []
  for text in texts:
    words, offsets_W2 = split_words(text)
    split.append((text, offsets_W2, words))
  return encode_words(tokenizer, split, seq_length, stride)


def read(
  config: TaskConfig, tokenizer: Tokenizer, rows: RowOptions
) -> MeasuredData:
  """Read tagged words; the classes are the tags of train, sorted.

  Raises:
    ValueError: as `load_sentences` and `make_targets`.
  """
  loaded, labels = load_sentences(config, rows.labels)
  train = loaded.examples.get("train", ())
  types = tuple(sorted({type_of(label) for label in labels} - {OUTSIDE}))
  encoded = {
    name: encode_words(
      tokenizer,
      [(*join_words(s.words), s.words) for s in sentences],
      rows.seq_length,
      config.stride,
    )
    for name, sentences in loaded.examples.items()
  }
  return MeasuredData(
    name=data_name(config.train),
    labels=labels,
    pair=False,
    settings={"stride": config.stride},
    splits={
      name: TaskBatches(
        each.rows.features,
        make_targets(
          each,
          loaded.examples[name],
          labels,
          balanced=name == "train" and config.class_weights == "balanced",
        ),
        owners_N=each.rows.owner_N,
        examples=each.examples,
        pack=rows.pack,
      )
      for name, each in encoded.items()
    },
    figures=TaskFigures(
      labels=(*types, OUTSIDE),
      alike_labels=alike_labels(types),
      numeric_labels=0,
      table=loaded.figures,
      splits={
        name: _measure(
          sentences, encoded[name], () if name == "train" else train, types
        )
        for name, sentences in loaded.examples.items()
      },
    ),
  )


def make_targets(
  encoded: EncodedWords,
  sentences: Sequence[Sentence],
  labels: Sequence[str],
  *,
  balanced: bool = False,
) -> Batch:
  """Return `tags_BS`, and `weight_BS`, which is 1 where a word has its tag.

  If `balanced`, all tags have the same weight in all, and a word 1 on average.

  Raises:
    ValueError: a tag is not in `labels`.
  """
  ids = {label: number for number, label in enumerate(labels)}
  shape = encoded.rows.features["tokens_BS"].shape
  tags_BS, weight_BS = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
  first_E = np.searchsorted(encoded.rows.owner_N, np.arange(len(sentences)))
  for first, words, sentence in zip(
    first_E, encoded.examples, sentences, strict=True
  ):
    if wrong := unknown_tag(sentence, ids):
      raise ValueError(
        f"{wrong}; correct it, add examples of it to task.train, or skip such "
        "sentences with --config.task.skip_bad_rows"
      )
    at = first + words.window_W, words.place_W
    tags_BS[at] = [ids[tag] for tag in sentence.tags]
    weight_BS[at] = 1
  if balanced:
    is_tagged_BS = weight_BS > 0
    weight_BS[is_tagged_BS] = balance(tags_BS[is_tagged_BS])
  return {"tags_BS": tags_BS, "weight_BS": weight_BS}


def begins(previous: str, tag: str) -> bool:
  """Return whether an entity begins at a tag, as seqeval reads tags."""
  goes_on = tag[0] in "IE" and previous in {f"B{tag[1:]}", f"I{tag[1:]}"}
  return tag != OUTSIDE and not goes_on


def count_invalid(tags: Sequence[str]) -> int:
  """Return the number of entities that begin with an I or E tag.

  In IO all do.
  """
  return sum(
    tag[0] in "IE" and begins(previous, tag)
    for previous, tag in itertools.pairwise((OUTSIDE, *tags))
  )


def type_of(tag: str) -> str:
  """Return the type of a tag, such as PER of B-PER; O has itself."""
  return tag.partition("-")[2] or tag


def _measure(
  sentences: Sequence[Sentence],
  encoded: EncodedWords,
  train: Sequence[Sentence],
  types: Sequence[str],
) -> SplitFigures:
  keys = [text_key(sentence) for sentence in sentences]
  every = {tags: n for n, tags in enumerate({s.tags for s in sentences})}
  is_io = not any(tag[0] in "BS" for s in sentences for tag in s.tags)
  starts = collections.Counter(
    type_of(tag)
    for sentence in sentences
    for previous, tag in itertools.pairwise((OUTSIDE, *sentence.tags))
    if tag == OUTSIDE or begins(previous, tag)
  )
  return SplitFigures(
    examples=len(sentences),
    cut=0,
    empty=0,
    shared=count_shared(keys, [text_key(each) for each in train]),
    contradicting=count_contradicting(
      keys, np.asarray([every[sentence.tags] for sentence in sentences])
    ),
    tokens=encoded.rows.tokens,
    unknown=encoded.rows.unknown,
    words=encoded.rows.words,
    by_class=tuple(starts[each] for each in (*types, OUTSIDE)),
    windows=len(encoded.rows.owner_N),
    invalid_tags=0 if is_io else sum(count_invalid(s.tags) for s in sentences),
  )
