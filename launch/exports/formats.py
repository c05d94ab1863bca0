# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a format of an export is, and the options that some of them read."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from launch.exports.trained import Trained
from launch.preflight.policy import Policy


@dataclasses.dataclass(frozen=True)
class Options:
  """What the flags say about a format; None takes the format's default.

  Attributes:
    license: license of the weights, for the model card.
    dtype: dtype of the weights; a bundle has float32.
    for_finetuning: whether config.json gets BERT's dropout where the run had
      none; None does so if the model is not fine-tuned yet.
    pooling: how hidden states become one vector for a text, one of
      `interop.sentence_transformers.POOLINGS`; None is as trained.
    normalize: whether such a vector has length 1.
    quantize: how a graph with integers of 8 bits is made, a key of
      `onnx.QUANTIZE`.
    calibration: table of texts that such a graph is measured on.
    text_column: its column of the texts.
    text_pair_column: its column of the second texts of pairs.
    label_column: its column of the labels.
    policy: limits of the checks, and which may fail; None is `DEFAULT`.
  """

  license: str | None = None
  dtype: str | None = None
  for_finetuning: bool | None = None
  pooling: str | None = None
  normalize: bool | None = None
  quantize: str | None = None
  calibration: str | None = None
  text_column: str | None = None
  text_pair_column: str | None = None
  label_column: str | None = None
  policy: Policy | None = None


class Format(NamedTuple):
  """A format that a model can be exported to.

  Attributes:
    summary: what it is, in a few words.
    reads: names of the fields of `Options` that it reads.
    check: refuses options, or a target that it may not replace, before
      anything is read.
    write: writes the target, or leaves what is there as it is.
  """

  summary: str
  reads: frozenset[str]
  check: Callable[[pathlib.Path, Options], None]
  write: Callable[[Trained, pathlib.Path, Options], None]


def check_reads(
  name: str, formats: Mapping[str, Format], options: Options
) -> None:
  """Refuse an option that the format `name` would ignore.

  Raises:
    ValueError: there is such an option.
  """
  for field, value in vars(options).items():
    if value is not None and field not in formats[name].reads:
      readers = [
        other for other, form in formats.items() if field in form.reads
      ]
      given, it = f"--{field}={value} is", "it"
      if field == "policy":
        given, it = "--allow, --strict and --thresholds are", "them"
      raise ValueError(
        f"{given} for --format={' or '.join(readers)}; leave {it} out with "
        f"--format={name}"
      )
