# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores that were published for GLUE, which its server computed on test.

BERT-Base and -Large: Devlin et al., 2018, table 1 (F1 for QQP and MRPC,
Spearman for STS-B). The others: Turc et al., 2019, as README.md of
google-research/bert prints them (F1/accuracy for QQP and MRPC,
Pearson/Spearman for STS-B).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Reported(NamedTuple):
  """Where our score beside a published one comes from.

  Attributes:
    task: name of the task.
    split: split of its arm; "" where no split has labels.
  """

  task: str
  split: str


# The files that the server takes, without their suffix.
COLUMNS: Mapping[str, Reported] = {
  "CoLA": Reported("cola", "dev"),
  "SST-2": Reported("sst2", "dev"),
  "MRPC": Reported("mrpc", "dev"),
  "STS-B": Reported("stsb", "dev"),
  "QQP": Reported("qqp", "dev"),
  "MNLI-m": Reported("mnli", "dev"),
  "MNLI-mm": Reported("mnli", "test"),  # the mismatched dev split
  "QNLI": Reported("qnli", "dev"),
  "RTE": Reported("rte", "dev"),
  "WNLI": Reported("wnli", "dev"),
  "AX": Reported("ax", ""),
}


def _scores(cells: str) -> Mapping[str, str]:
  return dict(zip(COLUMNS, cells.split(), strict=True))


# In the order of COLUMNS; "–" where nothing was published.
PUBLISHED: Mapping[str, Mapping[str, str]] = {
  "BERT-Tiny": _scores(
    "0.0 83.2 81.1/71.1 74.3/73.6 62.2/83.4 70.2 70.3 81.5 57.2 62.3 21.0"
  ),
  "BERT-Mini": _scores(
    "0.0 85.9 81.1/71.8 75.4/73.3 66.4/86.2 74.8 74.3 84.1 57.9 62.3 26.1"
  ),
  "BERT-Small": _scores(
    "27.8 89.7 83.4/76.2 78.8/77.0 68.1/87.0 77.6 77.0 86.4 61.8 62.3 28.6"
  ),
  "BERT-Medium": _scores(
    "38.0 89.6 86.6/81.6 80.4/78.4 69.6/87.9 80.0 79.1 87.7 62.2 62.3 30.5"
  ),
  "BERT-Base": _scores("52.1 93.5 88.9 85.8 71.2 84.6 83.4 90.5 66.4 – –"),
  "BERT-Large": _scores("60.5 94.9 89.3 86.5 72.1 86.7 85.9 92.7 70.1 – –"),
}


def cells(column: str) -> Sequence[str]:
  """Return the published scores of a column, in the order of PUBLISHED."""
  return [scores[column] for scores in PUBLISHED.values()]
