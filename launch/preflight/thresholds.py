# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The one table of checks and their limits.

A figure beyond `warn` is a warning, a figure beyond `fail` ends the command.
Users set a limit with --thresholds=NAME.warn=VALUE or NAME.fail=VALUE.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

Unit = Literal["share", "count", "ratio"]


@dataclasses.dataclass(frozen=True)
class Check:
  """A figure that is judged, and its limits.

  Attributes:
    about: what the figure is, for the table of `launch.doctor --list`.
    warn: limit of a warning; None if the figure never warns.
    fail: limit of a failure; None if the figure never fails.
    worse: whether a figure above or below the limit is bad.
    unit: how the figure is written: a share as 1.2%, a count as 1,234, a ratio
      as 1.23.
    of_machine: whether the figure is of the machine that runs, and not of what
      it makes, so that no result keeps it.
  """

  about: str
  warn: float | None = None
  fail: float | None = None
  worse: Literal["above", "below"] = "above"
  unit: Unit = "share"
  of_machine: bool = False

  def show(self, value: float) -> str:
    """Return a figure or a limit of this check as text."""
    if self.unit == "share":
      # Digits that count: a limit of 1e-5 must not read as 0%.
      digits = ".3g" if value < 0.01 else ".4g" if value < 10 else ",.0f"
      return f"{100 * value:{digits}}%"
    return f"{value:,.0f}" if self.unit == "count" else f"{value:.4g}"


CHECKS: Mapping[str, Check] = {
  # A store.
  "unknown_tokens": Check(
    "unknown tokens among the tokens of the training split",
    warn=0.01,
    fail=0.20,
  ),
  "fertility": Check(
    "tokens a word of the training split, or of a task whose bundle names no "
    "corpus",
    2.0,
    unit="ratio",
  ),
  "unused_vocabulary": Check(
    "tokens of the vocabulary that never occur in the training split", 0.25
  ),
  "learned_vocabulary": Check(
    "tokens of a learned vocabulary among those asked for", 0.5, worse="below"
  ),
  "unknown_letters": Check(
    "characters of a sample that are not in the vocabulary", 0.001
  ),
  "lost_marks": Check(
    "letters of a sample that lose a mark, other than Latin, Greek or "
    "Cyrillic, because accents are removed",
    0.001,
  ),
  "maskable_tokens": Check(
    "tokens of the training split that masking may choose",
    warn=0.5,
    fail=0.01,
    worse="below",
  ),
  "duplicate_documents": Check(
    "documents that occur more than once among all documents", 0.05
  ),
  "shared_documents": Check(
    "training documents that are also validation documents", 0, unit="count"
  ),
  "long_sentences": Check(
    "tokens of the training split in sentences of over 128 tokens", 0.3
  ),
  "nul_characters": Check(
    "NUL characters that were removed from the text", 0, unit="count"
  ),
  "unread_files": Check(
    "files and folders beside the text that were not read, among all files",
    0.5,
  ),
  "no_validation": Check("stores without a validation split", 0, unit="count"),
  "validation_tokens": Check(
    "tokens of the validation split", 10_000, worse="below", unit="count"
  ),
  "validation_share": Check(
    "tokens of the validation split among all tokens", 0.2
  ),
  "validation_excess": Check(
    "tokens of the validation split over the share that --validation asks for",
    2,
    unit="ratio",
  ),
  "single_document": Check(
    "stores with a single training document", 0, unit="count"
  ),
  "random_pairs": Check(
    "pairs with a random second text, for next-sentence prediction",
    warn=0.60,
    fail=0.95,
  ),
  "filled_rows": Check(
    "positions of training rows that are not padding", 0.8, worse="below"
  ),
  # The data of a task, and its results.
  "skipped_rows": Check(
    "rows of a task's tables that are left out", warn=0, fail=0.20
  ),
  "stripped_labels": Check(
    "labels of a task with white space around them", 0, unit="count"
  ),
  "unscored_test": Check("tasks without a labeled test", 0, unit="count"),
  "numeric_labels": Check(
    "classes of a task whose labels look like measured numbers",
    fail=0,
    unit="count",
  ),
  "joined_labels": Check(
    "classes of a task that are several of the others, joined",
    0,
    unit="count",
  ),
  "several_labels": Check(
    "the most labels of a training text, where texts may have several",
    2,
    worse="below",
    unit="count",
  ),
  "score_values": Check(
    "different scores in the training texts of a task",
    3,
    worse="below",
    unit="count",
  ),
  "score_size": Check("the largest score of a task", 10, unit="ratio"),
  "alike_labels": Check(
    "labels that several classes of a task share but for case or white space",
    fail=0,
    unit="count",
  ),
  "shared_texts": Check(
    "texts of dev or test that are also in train", 0, unit="count"
  ),
  "contradicting_texts": Check(
    "training texts of a task that also occur with another label", 0.01
  ),
  "invalid_tags": Check(
    "entities of a split whose first tag is one that goes on", 0
  ),
  "cut_questions": Check("questions of a split that are cut", 0),
  "lost_answers": Check(
    "questions of a split whose answer is not in its context", warn=0, fail=0.20
  ),
  "empty_texts": Check("texts of a task that have no token", 0, unit="count"),
  "scored_classes": Check(
    "classes with an example in dev or test",
    fail=2,
    worse="below",
    unit="count",
  ),
  "unscored_classes": Check(
    "classes without an example in dev or test", 0, unit="count"
  ),
  "class_examples": Check(
    "examples in dev or test of the rarest class there",
    5,
    worse="below",
    unit="count",
  ),
  "cut_texts": Check("texts that are longer than a row", 0.05),
  "task_unknown_tokens": Check(
    "unknown tokens among the tokens of a task", warn=0.01, fail=0.20
  ),
  "task_fertility": Check(
    "tokens a word of a task by those of the encoder's corpus",
    4 / 3,
    unit="ratio",
  ),
  "never_predicted": Check(
    "classes that have examples and are never predicted", 0, unit="count"
  ),
  "quantized_score": Check(
    "how far the score of a task falls with integers of 8 bits", 0.005
  ),
  "diverged_seeds": Check(
    "seeds of the chosen learning rate that diverged", 0, unit="count"
  ),
  "degenerate_seeds": Check(
    "seeds of the chosen learning rate that predict only one class, score, "
    "choice or place, or nothing, on dev",
    0,
    unit="count",
  ),
  # A pre-training run.
  "cut_tokens": Check("tokens that truncation cuts off an epoch", 0.3),
  # A block has some thousand rows. LAMB's 65,536 rows take 1,024 of each.
  "few_lanes": Check(
    "rows of a step from one block, of a store that has other blocks",
    2_048,
    unit="count",
  ),
  # BERT reads its text 40 times (Devlin et al., 2019, appendix A.2).
  "epochs": Check("times that a run reads its text", 40, unit="ratio"),
  "repeated_masks": Check(
    "times that a run reads its text, over the copies of static masking",
    1,
    worse="below",
    unit="ratio",
  ),
  "continued_words": Check(
    "tokens of the text that continue a word, of a run that masks words",
    0.01,
    worse="below",
  ),
  "learning_rate": Check(
    "peak learning rate over a bound well above the recipes of its optimizer",
    warn=1,
    fail=50,
    unit="ratio",
  ),
  "warmup_share": Check("steps of warm-up among all steps", 0.5),
  "device_memory": Check(
    "bytes that a step needs over the bytes of a device",
    warn=0.95,
    fail=1,
    of_machine=True,
  ),
  # Half of a row's scores at 512 tokens, with the windows of ModernBERT.
  "masked_pairs": Check(
    "scores of attention outside of windows that are computed, of a model with "
    "windows, where a kernel would skip them",
    0.25,
    of_machine=True,
  ),
  # What a pre-training run came to.
  "loss_at_unigram_entropy": Check(
    "validation loss of masked tokens over the unigram entropy of the same",
    0.98,
    unit="ratio",
  ),
  # Other text, another vocabulary and another recipe make that much.
  "loss_outside_band": Check(
    "nats between the validation loss of masked tokens and what others reached "
    "with no larger model and no more tokens, or with no smaller and no fewer",
    1.0,
    unit="ratio",
  ),
  "pair_accuracy_trivial": Check(
    "accuracy on sentence pairs in the first tenth of a run", 0.9995
  ),
  "reached_mask_rate": Check(
    "masked tokens over those that the mask rate asks for",
    0.8,
    worse="below",
    unit="ratio",
  ),
  "clock_skew": Check(
    "seconds between the clocks of the hosts",
    5,
    unit="count",
    of_machine=True,
  ),
  "disk_space": Check(
    "bytes of the checkpoints that are kept over the free bytes of the disk",
    warn=0.8,
    fail=1,
    of_machine=True,
  ),
  # A study.
  "trials_of_other_code": Check(
    "trials of a study that other code began, beside trials that are to run",
    fail=0,
    unit="count",
  ),
}
