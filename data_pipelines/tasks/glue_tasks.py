# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks of GLUE: columns, files, labels and scores.

Wang et al., 2018, "GLUE: A multi-task benchmark and analysis platform for
natural language understanding", table 1; column names as they stand in the
files that its download script writes, and file names as its server takes
them.
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class GlueTask:
  """A task of GLUE.

  Attributes:
    title: its name, and that of its folder.
    text: column of the text.
    text_pair: column of the second text; "" for single texts.
    label: column of the label; "" if the task has a test split only.
    labels: the labels in the order of their classes; empty for scores.
    metrics: the scores that the benchmark reports, the first for selection.
    scores: the lowest and the highest score, if labels are scores.
    header: names of all columns, where train and dev have no header line.
    dev: files of the dev splits: dev, and one that is only scored.
    tests: {file of a test split: file of its predictions}.
    columns: columns of the texts and the label in the data sets of TFDS and
      the hub, where they differ from those of the files.
    named: names of `labels` in those data sets, where they differ.
    folders: other names that its folder may have.
  """

  title: str
  text: str
  text_pair: str
  label: str
  labels: tuple[str, ...]
  metrics: tuple[str, ...] = ("accuracy",)
  scores: tuple[float, float] | None = None
  header: tuple[str, ...] = ()
  dev: tuple[str, ...] = ("dev.tsv",)
  tests: Mapping[str, str] = dataclasses.field(default_factory=dict)
  columns: tuple[str, ...] = ()
  named: tuple[str, ...] = ()
  folders: tuple[str, ...] = ()

  @property
  def is_regression(self) -> bool:
    """Whether labels are scores."""
    return self.scores is not None


_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI = ("contradiction", "entailment", "neutral")


def _tests(title: str) -> Mapping[str, str]:
  return {"test.tsv": f"{title}.tsv"}


# By the name that configs take, in the order of the benchmark's table.
GLUE: Mapping[str, GlueTask] = {
  "cola": GlueTask(
    "CoLA",
    text="sentence",
    text_pair="",
    label="label",
    labels=_BINARY,
    metrics=("matthews",),
    header=("source", "label", "mark", "sentence"),
    tests=_tests("CoLA"),
    named=("unacceptable", "acceptable"),
  ),
  "sst2": GlueTask(
    "SST-2",
    text="sentence",
    text_pair="",
    label="label",
    labels=_BINARY,
    tests=_tests("SST-2"),
    named=("negative", "positive"),
    folders=("SST",),
  ),
  "mrpc": GlueTask(
    "MRPC",
    text="#1 String",
    text_pair="#2 String",
    label="Quality",
    labels=_BINARY,
    metrics=("f1", "accuracy"),
    tests=_tests("MRPC"),
    columns=("sentence1", "sentence2", "label"),
    named=("not_equivalent", "equivalent"),
  ),
  "stsb": GlueTask(
    "STS-B",
    text="sentence1",
    text_pair="sentence2",
    label="score",
    labels=(),
    metrics=("pearson", "spearman"),
    scores=(0.0, 5.0),
    tests=_tests("STS-B"),
    columns=("sentence1", "sentence2", "label"),
    folders=("STS",),
  ),
  "qqp": GlueTask(
    "QQP",
    text="question1",
    text_pair="question2",
    label="is_duplicate",
    labels=_BINARY,
    metrics=("f1", "accuracy"),
    tests=_tests("QQP"),
    columns=("question1", "question2", "label"),
    named=("not_duplicate", "duplicate"),
  ),
  "mnli": GlueTask(
    "MNLI",
    text="sentence1",
    text_pair="sentence2",
    label="gold_label",
    labels=_MNLI,
    dev=("dev_matched.tsv", "dev_mismatched.tsv"),
    tests={
      "test_matched.tsv": "MNLI-m.tsv",
      "test_mismatched.tsv": "MNLI-mm.tsv",
    },
    columns=("premise", "hypothesis", "label"),
  ),
  "qnli": GlueTask(
    "QNLI",
    text="question",
    text_pair="sentence",
    label="label",
    labels=_ENTAILMENT,
    tests=_tests("QNLI"),
  ),
  "rte": GlueTask(
    "RTE",
    text="sentence1",
    text_pair="sentence2",
    label="label",
    labels=_ENTAILMENT,
    tests=_tests("RTE"),
  ),
  "wnli": GlueTask(
    "WNLI",
    text="sentence1",
    text_pair="sentence2",
    label="label",
    labels=_BINARY,
    tests=_tests("WNLI"),
    named=_ENTAILMENT[::-1],
  ),
  # The diagnostic set, which the model of MNLI answers.
  "ax": GlueTask(
    "AX",
    text="sentence1",
    text_pair="sentence2",
    label="",
    labels=_MNLI,
    metrics=("matthews",),
    dev=(),
    tests={"diagnostic.tsv": "AX.tsv"},
    folders=("diagnostic",),
  ),
}
# The label that the original files of MNLI give where annotators disagree.
UNDECIDED = "-"
# The tasks that have labels to learn from.
LEARNED = tuple(name for name, task in GLUE.items() if task.label)
