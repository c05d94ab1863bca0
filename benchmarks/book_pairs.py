# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""Make tasks over pairs of sentences of books, and try words alone on them.

    python -m benchmarks.book_pairs --books='DIR/train-*.jsonl.xz' \
      --output=runs/book_pairs [--examples=3000,500,1000]

Writes OUTPUT/TASK/SPLIT.jsonl for each task and split, which task=table of
configs/finetune.py reads, and prints what they hold. Three classifiers of words
stand beside chance, fitted to train and scored on test; a task that one of them
solves is no test of more than words:

  overlap      the words that both texts have, by how rare they are
  first text   the words of the first text alone (naive Bayes)
  second text  the words of the second text alone

With two choices the one that scores higher is the answer.
"""

import json
import math
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from bertjax import files
from bertjax.trials.markdown import markdown
from data_pipelines.tasks.book_pairs import (
  SPLITS,
  TASKS,
  Example,
  Made,
  make_task,
  read_books,
)
from launch import cli

COUNTS = "counts.json"
_WORD = re.compile(r"\w+")


class Text(NamedTuple):
  """A pair that is right or wrong; a choice makes two of them.

  Attributes:
    first: words of the first text.
    second: words of the second one.
    right: whether the label is the first of its task, or the choice is right.
  """

  first: frozenset[str]
  second: frozenset[str]
  right: bool


Score = Callable[[Text], float]


def as_texts(examples: Sequence[Example]) -> list[list[Text]]:
  """Return the pairs of each example: one, or one for each choice."""
  found = []
  for example in examples:
    if "choices" in example:
      found.append(
        [
          Text(
            _words(example["context"]), _words(choice), n == example["label"]
          )
          for n, choice in enumerate(example["choices"])
        ]
      )
    else:
      first, second = _words(example["sentence1"]), _words(example["sentence2"])
      right = example["label"] in ("in_order", "same")
      found.append([Text(first, second, right)])
  return found


def accuracies(made: Made) -> dict[str, float]:
  """Return the accuracy on test of each classifier of words."""
  train, test = (as_texts(made.examples[split]) for split in ("train", "test"))
  texts = [text for example in train for text in example]
  scores = {
    "overlap": _overlap(texts),
    "first text": _naive_bayes(texts, lambda text: text.first),
    "second text": _naive_bayes(texts, lambda text: text.second),
  }
  return {name: _accuracy(score, train, test) for name, score in scores.items()}


def _words(text: str) -> frozenset[str]:
  return frozenset(_WORD.findall(text.lower()))


def _overlap(train: Sequence[Text]) -> Score:
  counts = Counter(word for text in train for word in text.first | text.second)
  weights = {word: math.log(len(train) / n) + 1 for word, n in counts.items()}
  unseen = math.log(len(train)) + 1

  def weight(words: frozenset[str]) -> float:
    # Sorted, so that sums do not depend on the hashes of this process.
    return sum(weights.get(word, unseen) for word in sorted(words))

  def score(text: Text) -> float:
    both = math.sqrt(weight(text.first) * weight(text.second))
    return weight(text.first & text.second) / both if both else 0.0

  return score


def _naive_bayes(
  train: Sequence[Text], words: Callable[[Text], frozenset[str]]
) -> Score:
  right = Counter(w for text in train if text.right for w in words(text))
  wrong = Counter(w for text in train if not text.right for w in words(text))
  # Labels are as frequent as each other, or choices as each other.
  odds = {
    word: math.log((right[word] + 1) / (wrong[word] + 1))
    for word in right | wrong
  }
  return lambda text: sum(odds.get(word, 0.0) for word in sorted(words(text)))


def _accuracy(
  score: Score, train: Sequence[list[Text]], test: Sequence[list[Text]]
) -> float:
  if len(test[0]) > 1:
    gains = [
      np.sign(sum((1 if text.right else -1) * score(text) for text in example))
      for example in test
    ]
    return float(np.mean((np.array(gains) + 1) / 2))  # a tie is half right
  bound, sign = _best_bound(score, [example[0] for example in train])
  return float(
    np.mean(
      [
        (sign * (score(example[0]) - bound) > 0) == example[0].right
        for example in test
      ]
    )
  )


def _best_bound(score: Score, train: Sequence[Text]) -> tuple[float, int]:
  """Return the bound of scores with the most right answers, and its side."""
  scores_N = np.array([score(text) for text in train])
  order = np.argsort(scores_N, kind="stable")
  signs_N = np.array([1 if text.right else -1 for text in train])[order]
  # The sum above a bound, less the sum below it.
  gain_M = signs_N.sum() - 2 * np.concatenate(([0], np.cumsum(signs_N)))
  edges = np.concatenate(([-np.inf], scores_N[order], [np.inf]))
  # No bound parts equal scores.
  gain_M = np.where(edges[1:] > edges[:-1], gain_M, 0)
  best = int(np.abs(gain_M).argmax())
  low, high = (float(edge) for edge in edges[best : best + 2])
  if math.isinf(low):
    bound = high - 1
  else:
    bound = low if math.isinf(high) else (low + high) / 2
  return bound, 1 if gain_M[best] >= 0 else -1


def write_tasks(
  books: str, output: pathlib.Path, sizes: Mapping[str, int], seed: int
) -> str:
  """Write all tasks; return a table of them as Markdown."""
  read = list(read_books(books))
  lines: list[list[str]] = []
  counts: dict[str, Any] = {}
  words: dict[str, float] = {}
  for name in TASKS:
    made = make_task(name, read, sizes, seed)
    for split, examples in made.examples.items():
      text = "".join(
        json.dumps(example, ensure_ascii=False) + "\n" for example in examples
      )
      files.write_text(output / name / f"{split}.jsonl", text)
    words = accuracies(made)
    counts[name] = {
      **{split: each._asdict() for split, each in made.counts.items()},
      "accuracy_of_words": words,
    }
    lines.append(_line(name, made, words))
  files.write_json(
    output / COUNTS, {"books": len(read), "seed": seed, **counts}
  )
  header = ["task", *(f"{split} (authors)" for split in SPLITS)]
  return markdown([*header, "left out", "chance", *words], lines)


def _line(name: str, made: Made, words: Mapping[str, float]) -> list[str]:
  counts = made.counts
  return [
    name,
    *(f"{counts[s].examples:,} ({counts[s].authors})" for s in SPLITS),
    str(sum(each.left_out for each in counts.values())),
    "50.0 %",
    *(f"{100 * accuracy:.1f} %" for accuracy in words.values()),
  ]


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_string("books", None, "Files of books.", required=True)
  flags.DEFINE_string("output", "runs/book_pairs", "Folder to write.")
  flags.DEFINE_list(
    "examples", ["3000", "500", "1000"], "Examples of train, dev and test."
  )
  flags.DEFINE_integer("seed", 0, "Seed of what is drawn.", lower_bound=0)


def main(_: Sequence[str]) -> None:
  """Write the tasks, and print what they hold."""
  values = flags.FLAGS
  given = values.examples
  if len(given) != len(SPLITS) or not all(map(str.isdecimal, given)):
    raise ValueError(
      f"--examples={','.join(given)}; give three numbers, those of train, dev "
      "and test"
    )
  sizes = {split: int(n) for split, n in zip(SPLITS, given, strict=True)}
  output = pathlib.Path(values.output)
  print(write_tasks(values.books, output, sizes, values.seed))


if __name__ == "__main__":
  define_flags()
  cli.run(main)
