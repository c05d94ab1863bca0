# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A classification task without a download: which package has this docstring?

The classes are the largest packages of the running Python's standard library.
The name of the package, also inside a word, and the words of the module's path
are replaced by a blank, because they give the label away. All docstrings of a
module are in one split. If the pre-training corpus was `stdlib`, the model may
have seen these texts, without labels and with the names.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.corpora import stdlib_corpus
from data_pipelines.corpora.stdlib_corpus import Docstring
from data_pipelines.tasks.classification import (
  Classification,
  LabeledTexts,
  make_reader,
)

# A text as short as "Return x." does not tell its package.
_MIN_WORDS = 5
_BLANK = "_"
# A shorter name ("re") is a part of too many words to be blanked in them.
_MIN_INFIX = 3
_SHARES: Mapping[str, float] = {"train": 0.55, "test": 0.30, "dev": 0.15}
_WORD = re.compile(r"[^\W\d_]{2,}")


def load_task(config: TaskConfig) -> Classification:
  """Make the task from the running interpreter's standard library.

  Raises:
    ValueError: `num_packages` is below 2, or above the number of packages.
  """
  return make_task(stdlib_corpus.docstrings(), config.num_packages)


def make_task(
  docstrings: Iterable[Docstring], num_packages: int
) -> Classification:
  """Mask, filter and split `docstrings`; a pure function of them.

  A text of two packages is left out, and a text that one package has twice is
  kept once, so that no text is in two splits. A package needs a module for
  each split.

  Raises:
    ValueError: `num_packages` is below 2, or above the number of packages.
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
  train, dev, test = (
    _select(kept, labels, {m for m, s in split_of.items() if s == split})
    for split in ("train", "dev", "test")
  )
  return Classification("stdlib", labels, train, dev, test)


def mask_names(docstring: Docstring) -> str:
  """Return the text with the names of its package and its module blanked.

  The package's name is blanked everywhere, also in `XMLReader`, and the other
  parts of the module's path where they are whole words.
  """
  package, *path = docstring.module.split(".")
  names = [rf"\b{re.escape(part)}\b" for part in (package, *path)]
  if len(package) >= _MIN_INFIX:
    names[0] = re.escape(package)
  # Texts may write `bootstrap` for the module `_bootstrap`.
  names += [
    rf"\b{re.escape(part.strip('_'))}\b" for part in path if part.strip("_")
  ]
  return re.sub("|".join(names), _BLANK, docstring.text, flags=re.IGNORECASE)


def split_modules(sizes: Mapping[str, int]) -> dict[str, str]:
  """Assign each module of a package to train, dev or test.

  From the largest module to the smallest, each is assigned to the split that
  has the most docstrings still missing from its 55, 15 or 30 percent. The last
  modules go to splits without a module, so that every split has one.
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
  """Return the masked docstrings that are long enough, each text once."""
  owners: dict[str, set[str]] = defaultdict(set)
  first: dict[str, Docstring] = {}
  for docstring in docstrings:
    text = mask_names(docstring)
    words = _WORD.findall(text.lower())
    if len(words) < _MIN_WORDS:
      continue
    # Texts that differ only in white space and punctuation are copies.
    key = " ".join(words)
    owners[key].add(docstring.package)
    first.setdefault(key, docstring._replace(text=text))
  return [first[key] for key in first if len(owners[key]) == 1]


def _select(
  docstrings: Sequence[Docstring], labels: tuple[str, ...], modules: set[str]
) -> LabeledTexts:
  chosen = [each for each in docstrings if each.module in modules]
  return LabeledTexts(
    tuple(each.text for each in chosen),
    None,
    np.asarray([labels.index(each.package) for each in chosen], np.int32),
  )


read = make_reader(load_task)
