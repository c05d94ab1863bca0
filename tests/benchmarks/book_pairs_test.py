# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks are written as task=table reads them, and words are told for words."""

import json
import random
from typing import Any

import pytest

from benchmarks.book_pairs import COUNTS, accuracies, write_tasks
from bertjax.config import TaskConfig
from data_pipelines.tasks import choices, tabular
from data_pipelines.tasks.book_pairs import SPLITS, TASKS, Made, SplitCounts

SIZES = {"train": 60, "dev": 20, "test": 20}


WORDS = ("cats", "dogs", "rain", "snow", "ships", "roads", "songs", "bread")


def write_books(path):
  """Eight books of five authors, with paragraphs of eight sentences."""
  rng = random.Random(0)
  lines = []
  for book in range(8):
    paragraphs = [
      " ".join(
        f"The {n} {' '.join(rng.choices(WORDS, k=6))} are here."
        for n in range(8)
      )
      for _ in range(20)
    ]
    text = "\n\n".join(paragraphs)
    book_of = {"author": f"A{book % 5}", "title": f"T{book}", "text": text}
    lines.append(json.dumps(book_of))
  path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  folder = tmp_path_factory.mktemp("pairs")
  books = folder / "books.jsonl"
  write_books(books)
  return folder, write_tasks(str(books), folder, SIZES, seed=0)


def test_tables_are_read_as_tasks(written):
  folder, _ = written
  for name in TASKS:
    paths: dict[str, Any] = {
      split: str(folder / name / f"{split}.jsonl") for split in SPLITS
    }
    if name == "which_follows":
      config = TaskConfig(
        kind="table",
        target="choice",
        text="context",
        choices="choices",
        num_choices=2,
        **paths,
      )
      read = choices.read_questions(paths["test"], config)
      assert {len(question.choices) for question in read.questions} == {2}
    else:
      config = TaskConfig(
        kind="table", text="sentence1", text_pair="sentence2", **paths
      )
      assert len(tabular.load_task(config).labels) == 2


def test_counts_and_words_are_told(written):
  folder, text = written
  counts = json.loads((folder / COUNTS).read_text())
  assert {*TASKS} < {*counts}
  assert counts["books"] == 8
  for name in TASKS:
    assert name in text
    lines = (folder / name / "train.jsonl").read_text().splitlines()
    assert len(lines) == counts[name]["train"]["examples"]
  # Both texts are the same whichever of them comes first.
  assert counts["order"]["accuracy_of_words"]["overlap"] <= 0.65


def made_of(right, wrong):
  """A task whose examples are (first, second) texts."""
  examples = [
    {"sentence1": a, "sentence2": b, "label": label}
    for label, pairs in (("same", right), ("other", wrong))
    for a, b in pairs
  ]
  return Made(
    dict.fromkeys(SPLITS, examples),
    dict.fromkeys(SPLITS, SplitCounts(len(examples), 1, 0)),
  )


def test_words_that_solve_a_task_are_found_out():
  shared = [(f"the cat {n}", f"a cat {n}") for n in range(9)]
  apart = [(f"the cat {n}", f"a dog {n + 20}") for n in range(9)]
  found = accuracies(made_of(shared, apart))
  assert found["overlap"] == 1.0
  assert found["second text"] == 1.0
  assert found["first text"] <= 0.6
  # Less in common may be the sign, too.
  assert accuracies(made_of(apart, shared))["overlap"] == 1.0


def test_the_choice_with_the_higher_score_is_the_answer():
  examples = [
    {
      "context": f"the cat {n}",
      "choices": [f"its cat {n}", f"some dog {n + 20}"][:: 1 - 2 * (n % 2)],
      "label": n % 2,
    }
    for n in range(10)
  ]
  made = Made(dict.fromkeys(SPLITS, examples), {})
  found = accuracies(made)
  assert found["overlap"] == 1.0
  assert found["first text"] == 0.5  # a tie is half right
