# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A labelled task that needs no download: whose docstring is this?

The classes are the largest packages of the running Python's standard library.
A package's own name, wherever it stands in a word, and the words of the
module's path are replaced by a blank, so that the answer is not written in
the question. A module's docstrings are all in one split. What is classified
here may have been read in pre-training, if the corpus was `stdlib`: without
its label, and with the names still in it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.corpora import stdlib_corpus
from data_pipelines.corpora.stdlib_corpus import Docstring
from data_pipelines.tasks.classification import LabelledTexts, Task

# A label cannot be told from "Return x.", by nobody.
_MIN_WORDS = 5
_BLANK = "_"
# A shorter name ("re") is a part of too many words to be cut out of them.
_MIN_INFIX = 3
_SHARES: Mapping[str, float] = {"train": 0.55, "test": 0.30, "dev": 0.15}
_WORD = re.compile(r"[^\W\d_]{2,}")


def load_task(config: TaskConfig) -> Task:
  """Build the task from the running interpreter's standard library.

  Raises:
    ValueError: fewer than two packages asked for, or fewer to be had.
  """
  return make_task(stdlib_corpus.docstrings(), config.num_packages)


def make_task(docstrings: Iterable[Docstring], num_packages: int) -> Task:
  """Mask, sort out and split `docstrings`; a pure function of them.

  A text that two packages share, or that stands twice, is left out or kept
  once: no text is in two splits. Packages need a module for each split.

  Raises:
    ValueError: fewer than two packages asked for, or fewer to be had.
  """
  kept = _distinct(docstrings)
  sizes: dict[str, Counter[str]] = defaultdict(Counter)
  for docstring in kept:
    sizes[docstring.package][docstring.module] += 1
  eligible = [name for name in sizes if len(sizes[name]) >= len(_SHARES)]
  if not 2 <= num_packages <= len(eligible):
    raise ValueError(
      f"task.num_packages={num_packages}; this Python has {len(eligible)} "
      f"packages of {len(_SHARES)} modules or more, and a task needs 2"
    )
  eligible.sort(key=lambda name: (-sizes[name].total(), name))
  labels = tuple(sorted(eligible[:num_packages]))
  split_of = {
    module: split
    for label in labels
    for module, split in split_modules(sizes[label]).items()
  }
  return Task(
    "stdlib",
    labels,
    *(
      _select(kept, labels, {m for m, s in split_of.items() if s == split})
      for split in ("train", "dev", "test")
    ),
  )


def mask_names(docstring: Docstring) -> str:
  """The docstring's text with its package and its module path blanked out.

  The package's name goes wherever it stands, also in `XMLReader`; the other
  parts of the path go as whole words.
  """
  package, *path = docstring.module.split(".")
  names = [rf"\b{re.escape(part)}\b" for part in (package, *path)]
  if len(package) >= _MIN_INFIX:
    names[0] = re.escape(package)
  # `_bootstrap` is talked about as `bootstrap`.
  names += [
    rf"\b{re.escape(part.strip('_'))}\b" for part in path if part.strip("_")
  ]
  return re.sub("|".join(names), _BLANK, docstring.text, flags=re.IGNORECASE)


def split_modules(sizes: Mapping[str, int]) -> dict[str, str]:
  """Give each module of a package to train, dev or test.

  The largest module goes first, and each goes where most is missing from
  55, 15 and 30 per cent of the docstrings; a split that has none yet gets
  one of the last modules at the latest.
  """
  total = sum(sizes.values())
  missing = {split: share * total for split, share in _SHARES.items()}
  given: dict[str, str] = {}
  largest_first = sorted(sizes, key=lambda module: (-sizes[module], module))
  for index, module in enumerate(largest_first):
    empty = [split for split in _SHARES if split not in given.values()]
    left = len(largest_first) - index
    choice = max(
      empty if len(empty) >= left else _SHARES, key=missing.__getitem__
    )
    given[module] = choice
    missing[choice] -= sizes[module]
  return given


def _distinct(docstrings: Iterable[Docstring]) -> list[Docstring]:
  """Masked docstrings that are long enough, each text once."""
  owners: dict[str, set[str]] = defaultdict(set)
  first: dict[str, Docstring] = {}
  for docstring in docstrings:
    text = mask_names(docstring)
    words = _WORD.findall(text.lower())
    if len(words) < _MIN_WORDS:
      continue
    # Copies differ in their white space and punctuation at most.
    key = " ".join(words)
    owners[key].add(docstring.package)
    first.setdefault(key, docstring._replace(text=text))
  return [first[key] for key in first if len(owners[key]) == 1]


def _select(
  docstrings: Sequence[Docstring], labels: tuple[str, ...], modules: set[str]
) -> LabelledTexts:
  chosen = [each for each in docstrings if each.module in modules]
  return LabelledTexts(
    tuple(each.text for each in chosen),
    None,
    np.asarray([labels.index(each.package) for each in chosen], np.int32),
  )
