# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Data of extractive question answering: windows of a question and a context.

As in run_squad.py of google-research/bert, a context that is too long is read
in overlapping windows, each behind the question. A window without the answer
has [CLS] as its answer.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bertjax.batch import Batch
from bertjax.config import TaskConfig
from data_pipelines.tasks import sliding, squad
from data_pipelines.tasks.batches import MeasuredData, RowOptions, TaskBatches
from data_pipelines.tasks.features import EncodedTexts, Tokenizer, make_rows
from data_pipelines.tasks.figures import SplitFigures, TaskFigures
from data_pipelines.tasks.file_splits import Splits, load_splits
from data_pipelines.tasks.splits import TextKey, count_shared, data_name
from data_pipelines.tasks.squad import Question


@dataclasses.dataclass(frozen=True)
class ReadQuestion:
  """A question, and where a model reads its context.

  Attributes:
    question: its text.
    context: the text with the answer.
    answers: the true answers, of which there may be none.
    offsets_T2: int64, the first character of each token of the context, and
      the one after its last.
    window_T: int64, the window in which each token has most context.
    start_W: int64, the first token of each window.
    shift: position of that token, from [CLS].
  """

  question: str
  context: str
  answers: tuple[str, ...]
  offsets_T2: np.ndarray
  window_T: np.ndarray
  start_W: np.ndarray
  shift: int


@dataclasses.dataclass(frozen=True)
class EncodedQuestions:
  """Windows of questions, and what was counted while they were made.

  Attributes:
    rows: a row for each window. A question that is too long is cut. Contexts
      that questions share are counted once.
    examples: the questions.
    windows: the tokens of the context in each window.
  """

  rows: EncodedTexts
  examples: tuple[ReadQuestion, ...]
  windows: tuple[sliding.Window, ...]


def encode_questions(
  tokenizer: Tokenizer,
  questions: Sequence[Question],
  seq_length: int,
  settings: Mapping[str, float],
) -> EncodedQuestions:
  """Encode questions and contexts as windows.

  Args:
    tokenizer: tells where tokens stand in a text.
    questions: the questions.
    seq_length: positions of a window.
    settings: `stride`, tokens from the start of a window to that of the next
      one, and `max_question_length`, tokens that a question is cut to.

  Raises:
    ValueError: `seq_length` has no room for a context.
  """
  longest, stride = settings["max_question_length"], int(settings["stride"])
  specials = tokenizer.template.count(pair=True)
  if seq_length <= longest + specials:
    raise ValueError(
      f"seq_length={seq_length} leaves no room for a context beside "
      f"{specials} special tokens and a question of max_question_length="
      f"{longest:g}; give a larger seq_length"
    )
  asked = tokenizer.encode([each.question for each in questions])
  distinct = dict.fromkeys(each.context for each in questions)
  contexts = {context: number for number, context in enumerate(distinct)}
  read = tokenizer.encode_with_offsets(tuple(contexts))
  rows, owners, examples, parts = [], [], [], []
  for number, each in enumerate(questions):
    ids_T, offsets_T2 = read[contexts[each.context]]
    question_T = asked[number][: int(longest)]
    size = seq_length - len(question_T) - specials
    windows = sliding.slide(len(ids_T), size, stride)
    rows += [(question_T, ids_T[slice(*window)]) for window in windows]
    owners += [number] * len(windows)
    parts += windows
    examples.append(
      ReadQuestion(
        each.question,
        each.context,
        tuple(answer.text for answer in each.answers),
        offsets_T2,
        sliding.most_context(windows, len(ids_T)),
        np.asarray([window.start for window in windows]),
        tokenizer.template.second_start(len(question_T)),
      )
    )
  counted = _count(
    tokenizer,
    make_rows(tokenizer, rows, seq_length),
    asked,
    [ids_T for ids_T, _ in read],
    np.asarray(owners, np.int64),
  )
  cut = sum(len(ids_T) > longest for ids_T in asked)
  counted = dataclasses.replace(counted, cut_questions=cut)
  return EncodedQuestions(counted, tuple(examples), tuple(parts))


def _count(
  tokenizer: Tokenizer,
  features: Batch,
  asked: Sequence[np.ndarray],
  read: Sequence[np.ndarray],
  owner_N: np.ndarray,
) -> EncodedTexts:
  vocabulary = tokenizer.vocabulary()
  every_T = np.concatenate([np.zeros(0, np.int32), *asked, *read])
  counts_V = np.bincount(every_T, minlength=vocabulary.size)
  return EncodedTexts(
    features=features,
    cut=0,
    empty=sum(not len(ids_T) for ids_T in read),
    tokens=int(counts_V.sum()),
    unknown=int(counts_V[vocabulary.unk_id]),
    words=int(counts_V[~vocabulary.continues_V].sum()),
    owner_N=owner_N,
  )


def make_targets(
  encoded: EncodedQuestions, questions: Sequence[Question]
) -> Batch:
  """Return `start_BR` and `end_BR`, the answer's tokens, and `weight_BR`.

  A position counts from [CLS], and is 0 where a window has not the whole
  answer. The weight is 0 where the answer is lost.
  """
  count = len(encoded.rows.owner_N)
  start_BR, end_BR = np.zeros((2, count, 1), np.int32)
  weight_BR = np.ones((count, 1), np.float32)
  spans = [
    None if each.is_lost else _tokens_of(each, encoded.examples[number])
    for number, each in enumerate(questions)
  ]
  for row, (owner, window) in enumerate(
    zip(encoded.rows.owner_N, encoded.windows, strict=True)
  ):
    span = spans[owner]
    if span is None:
      weight_BR[row] = not questions[owner].is_lost
    elif window.start <= span[0] and span[1] < window.stop:
      shift = encoded.examples[owner].shift - window.start
      start_BR[row], end_BR[row] = span[0] + shift, span[1] + shift
  return {"start_BR": start_BR, "end_BR": end_BR, "weight_BR": weight_BR}


def read(
  config: TaskConfig, tokenizer: Tokenizer, rows: RowOptions
) -> MeasuredData:
  """Read files of SQuAD; all questions of a context are in one split.

  Files are its JSON, or rows; see `squad`.

  A question of train whose answer is not in its context is left out and
  counted. Dev and test keep such questions: they are part of the score.

  Raises:
    ValueError: as `squad.read_file`, `load_splits` and `encode_questions`; no
      training question can be used.
  """
  loaded = _load(config, rows)
  splits = {name: list(each) for name, each in loaded.examples.items()}
  lost = {name: sum(q.is_lost for q in each) for name, each in splits.items()}
  if "train" in splits:
    splits["train"] = _answerable(config, splits["train"])
  null_answers = any(not q.answers for each in splits.values() for q in each)
  settings = {
    "stride": config.stride,
    "max_question_length": config.max_question_length,
    "max_answer_length": config.max_answer_length,
    "null_answers": int(null_answers),
  }
  encoded = {
    name: encode_questions(tokenizer, each, rows.seq_length, settings)
    for name, each in splits.items()
  }
  return MeasuredData(
    name=data_name(config.train),
    labels=(),
    pair=True,
    settings=settings,
    splits={
      name: TaskBatches(
        each.rows.features,
        make_targets(each, splits[name]),
        owners_N=each.rows.owner_N,
        examples=each.examples,
        identity=[
          [read.question, read.context, list(read.answers)]
          for read in each.examples
        ],
        pack=rows.pack,
      )
      for name, each in encoded.items()
    },
    figures=TaskFigures(
      labels=("answer", "no answer") if null_answers else (),
      alike_labels=(),
      numeric_labels=0,
      table=loaded.figures,
      splits=_measure(splits, encoded, lost, null_answers=null_answers),
    ),
  )


def _load(config: TaskConfig, rows: RowOptions) -> Splits[Question]:
  return load_splits(
    config,
    lambda path: squad.read_file(path, config.skip_bad_rows),
    lambda each: each.context,
    alone=rows.labels is not None,
  )


def _answerable(
  config: TaskConfig, questions: Sequence[Question]
) -> list[Question]:
  """Return the questions that can be trained on."""
  found = [each for each in questions if not each.is_lost]
  if not found:
    raise ValueError(
      f"{config.train}: no answer is in its context where answer_start says; "
      "it counts characters from 0"
    )
  return found


def _tokens_of(
  question: Question, read: ReadQuestion
) -> tuple[int, int] | None:
  """Return the first and the last token of an answer, None without one."""
  if not question.answers or not len(read.offsets_T2):
    return None
  answer = question.answers[0]
  text = answer.text.strip()
  start = answer.start + answer.text.index(text)
  starts_T, stops_T = read.offsets_T2.T
  first = int(np.searchsorted(stops_T, start, side="right"))
  last = int(np.searchsorted(starts_T, start + len(text), side="left")) - 1
  first = min(first, len(stops_T) - 1)
  return first, max(first, last)


def _key(question: Question) -> TextKey:
  return question.question.casefold(), question.context


def _measure(
  splits: Mapping[str, Sequence[Question]],
  encoded: Mapping[str, EncodedQuestions],
  lost: Mapping[str, int],
  *,
  null_answers: bool,
) -> dict[str, SplitFigures]:
  train_keys = [_key(each) for each in splits.get("train", ())]
  found = {}
  for name, questions in splits.items():
    rows = encoded[name].rows
    answered = sum(bool(each.answers) for each in questions)
    keys = [_key(each) for each in questions]
    found[name] = SplitFigures(
      examples=len(questions),
      cut=0,
      empty=rows.empty,
      shared=0 if name == "train" else count_shared(keys, train_keys),
      contradicting=0,
      tokens=rows.tokens,
      unknown=rows.unknown,
      words=rows.words,
      by_class=(answered, len(questions) - answered) if null_answers else (),
      windows=len(rows.owner_N),
      cut_questions=rows.cut_questions,
      lost_answers=lost[name],
    )
  return found
