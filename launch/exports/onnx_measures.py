# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How far graphs are from the model: the figures of an ONNX folder's card."""

import dataclasses
import pathlib

import numpy as np

from bertjax.batch import Batch
from bertjax.interop.architectures import ENCODER
from bertjax.interop.onnx import comparison, quantization, running
from bertjax.interop.onnx.heads import LOGITS
from data_pipelines.tasks.features import Tokenizer, make_rows
from launch.exports.calibration import Texts, alone
from launch.exports.onnx_scores import GraphScores, Labeled
from launch.exports.trained import Trained

# Rows of random tokens that a float32 graph is compared on. Their lengths are
# odd and even, up to `_LONGEST`.
_ROWS, _LONGEST = 16, 64
# A larger share of the largest output is no rounding: the graph is another one.
_TOLERANCE = 1e-3
# Texts that a quantized graph is measured on, at most.
MEASURED = 2000


@dataclasses.dataclass(frozen=True)
class Parity:
  """How far a float32 graph is from the model.

  Attributes:
    difference: largest difference of any output.
    largest: largest output.
    rows: number of rows, each with padding and alone without it.
    longest: tokens of the longest row.
  """

  difference: float
  largest: float
  rows: int
  longest: int


@dataclasses.dataclass(frozen=True)
class Loss:
  """What a quantized graph loses against the float32 graph.

  Attributes:
    texts: number of texts that it was measured on, each alone.
    total: number of texts of the table.
    cut: how many texts of the table lost tokens.
    difference: largest difference of any output.
    calibrated: how many other texts the activations were calibrated on.
    equal: share of equal labels, of texts or tokens, or of equal spans.
    cosine: mean cosine of the hidden states of an encoder.
    scores: scores of the model's task by both graphs, where it is known what
      is wanted of the texts.
  """

  texts: int
  total: int
  cut: int
  difference: float
  calibrated: int = 0
  equal: float | None = None
  cosine: float | None = None
  scores: GraphScores | None = None


def kind_of(trained: Trained) -> tuple[str, str]:
  """Return the architecture and the pooling of a graph for `trained`.

  A pre-trained encoder gets its pooler as an output if a loss has trained it.
  """
  head = trained.head
  if head is None:
    return ENCODER, "cls" if trained.details.pooler_trained else ""
  return head.architecture, head.pooling


def compare(
  trained: Trained, path: pathlib.Path, tokenizer: Tokenizer, longest: int
) -> Parity:
  """Compare a float32 graph with the model on random tokens.

  Args:
    trained: the model.
    path: file of the graph.
    tokenizer: tokenizer of the model.
    longest: tokens of the longest row that the model reads.

  Raises:
    ValueError: they differ by more than rounding.
  """
  longest = min(longest, _LONGEST)
  batch = _random_rows(tokenizer, longest)
  ours = comparison.compute(
    trained.params, trained.model, *kind_of(trained), batch
  )
  session = running.open_session(path)
  found = [(batch, running.run(session, batch), ours)]
  for row in range(_ROWS):
    one = alone(batch, row)
    expected = comparison.take(ours, row, one["tokens_BS"].shape[1])
    found.append((one, running.run(session, one), expected))
  difference = max(
    comparison.largest_difference(expected, theirs, rows["packs_BS"] > 0)
    for rows, theirs, expected in found
  )
  largest = max(float(np.abs(array).max()) for array in ours.values())
  if not difference <= _TOLERANCE * max(largest, 1.0):
    raise ValueError(
      f"the ONNX graph differs from the model by {difference:.3g} on outputs "
      f"up to {largest:.3g}, which is more than rounding; nothing is written"
    )
  return Parity(difference, largest, _ROWS, longest)


def quantize(
  way: str,
  source: pathlib.Path,
  target: pathlib.Path,
  texts: Texts | None,
  *,
  several: bool = False,
) -> Loss | None:
  """Write a quantized graph; return what it loses, None without texts.

  A static graph is calibrated on some of the texts, evenly over the table, and
  measured on others. At most MEASURED are measured.

  Args:
    way: "dynamic" or "static".
    source: file of the float32 graph.
    target: file to write.
    texts: texts to calibrate and measure on.
    several: whether a text may have several labels.

  Raises:
    ValueError: there are too few texts.
  """
  calibrated = 0
  if way == "dynamic":
    quantization.quantize_dynamic(source, target)
  else:
    if texts is None or len(texts) < 2:
      raise ValueError(
        "a static graph is calibrated on some texts and measured on others; "
        "give a --calibration with two or more"
      )
    calibrated = min(quantization.CALIBRATION_ROWS, len(texts) // 2)
    chosen = texts.spread(calibrated)
    rows = [
      alone(each, row) if len(each["packs_BS"]) > 1 else each
      for each in texts.take(chosen).rows
      for row in range(len(each["packs_BS"]))
    ]
    quantization.quantize_static(source, target, rows)
    texts = texts.take(np.setdiff1d(np.arange(len(texts)), chosen))
  if texts is None:
    return None
  texts = texts.take(texts.spread(MEASURED))
  loss = _measure(source, target, texts, several=several)
  return dataclasses.replace(loss, calibrated=calibrated)


def _measure(
  source: pathlib.Path, target: pathlib.Path, texts: Texts, *, several: bool
) -> Loss:
  sessions = [running.open_session(path) for path in (source, target)]
  difference, decisions, cosines = 0.0, [], []
  found: list[tuple[comparison.Outputs, comparison.Outputs]] = []
  for row in texts.rows:
    is_real_BS = row["packs_BS"] > 0
    exact, narrow = (running.run(session, row) for session in sessions)
    if texts.labeled:
      found.append((exact, narrow))
    difference = max(
      difference, comparison.largest_difference(exact, narrow, is_real_BS)
    )
    cosines.append(comparison.mean_cosine(exact, narrow, is_real_BS))
    decisions.append(
      [
        comparison.decide(each, is_real_BS, several=several)
        for each in (exact, narrow)
      ]
    )
  loss = Loss(len(texts), texts.total, texts.cut, difference)
  if labeled := texts.labeled:
    both = [labeled.by_window(each) for each in zip(*found, strict=True)]
    scores = GraphScores(labeled.metric, *map(labeled.score, both))
    loss = dataclasses.replace(loss, scores=scores)
    decided = [_decide_texts(labeled, each, several=several) for each in both]
    if decided[0] is not None:
      decisions = [decided]
  if cosines[0] is not None:
    loss = dataclasses.replace(loss, cosine=float(np.mean(cosines)))
  if decisions[0][0] is None:
    return loss
  ours, theirs = (np.concatenate(each) for each in zip(*decisions, strict=True))
  return dataclasses.replace(loss, equal=comparison.share_equal(ours, theirs))


def _decide_texts(
  labeled: Labeled, outputs: Batch, *, several: bool
) -> np.ndarray | None:
  """Return the decision on each whole text; None if it has no logits."""
  logits_EC = labeled.pooled(outputs)
  if logits_EC is None:
    return None
  is_real_E1 = np.ones((len(logits_EC), 1), bool)
  return comparison.decide({LOGITS: logits_EC}, is_real_E1, several=several)


def _random_rows(tokenizer: Tokenizer, longest: int) -> Batch:
  """Return rows of ordinary tokens, as the tokenizer's template frames them.

  Their lengths go up to `longest`. Every other row that has room is a pair.
  """
  draw = np.random.default_rng(0)
  template, ordinary_W = tokenizer.template, tokenizer.vocabulary().ordinary_W
  single, pair = (template.count(pair=each) for each in (False, True))
  windows: list[tuple[np.ndarray, np.ndarray | None]] = []
  for row, length in enumerate(
    np.linspace(single + 1, longest, _ROWS, dtype=int)
  ):
    if row % 2 and length > pair + 1:
      ids = draw.choice(ordinary_W, length - pair)
      middle = len(ids) // 2
      windows.append((ids[:middle], ids[middle:]))
    else:
      windows.append((draw.choice(ordinary_W, length - single), None))
  return make_rows(tokenizer, windows, longest)
