# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.corpora.stdlib_corpus import Docstring
from data_pipelines.tasks import stdlib

SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def task():
  return stdlib.load_task(TaskConfig())


@pytest.fixture(scope="module")
def modules():
  """Masked text → the modules it stands in."""
  found = {}
  for docstring in stdlib.stdlib_corpus.docstrings():
    found.setdefault(stdlib.mask_names(docstring), set()).add(docstring.module)
  return found


def test_the_task_is_large_enough_to_measure(task):
  assert len(task.labels) == 12
  assert len(task.test) >= 500
  for split in SPLITS:
    counts = np.bincount(getattr(task, split).labels_N, minlength=12)
    assert counts.min() > 0
  assert np.bincount(task.train.labels_N).min() >= 20


def test_no_package_name_is_left_in_a_text(task):
  for split in SPLITS:
    texts = getattr(task, split)
    for text, label in zip(texts.texts, texts.labels_N, strict=True):
      assert task.labels[label] not in text.lower()


def test_no_module_and_no_text_is_in_two_splits(task, modules):
  seen_texts, seen_modules = set(), set()
  for split in SPLITS:
    texts = set(getattr(task, split).texts)
    # A text of one module only says where it was put.
    owners = {
      module for t in texts if len(modules[t]) == 1 for module in modules[t]
    }
    assert len(owners) > 12
    assert seen_texts.isdisjoint(texts)
    assert seen_modules.isdisjoint(owners)
    seen_texts |= texts
    seen_modules |= owners


def test_the_task_is_the_same_every_time(task):
  again = stdlib.load_task(TaskConfig())
  for split in SPLITS:
    assert getattr(again, split).texts == getattr(task, split).texts
    np.testing.assert_array_equal(
      getattr(again, split).labels_N, getattr(task, split).labels_N
    )


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_a_number_of_packages_that_cannot_be_had_is_refused(count):
  with pytest.raises(ValueError, match=f"num_packages={count}"):
    stdlib.load_task(TaskConfig(num_packages=count))


@pytest.mark.parametrize(
  ("module", "text", "masked"),
  [
    ("xml.sax", "An XMLReader of xml, by SAX.", "An _Reader of _, by _."),
    ("re._parser", "A parser of more, re.", "A _ of more, _."),
    ("os.path", "Close most paths.", "Close most paths."),
    ("email.message", "E-mail and emails.", "E-mail and _s."),
  ],
)
def test_names_are_blanked(module, text, masked):
  package = module.partition(".")[0]
  assert stdlib.mask_names(Docstring(package, module, "", text)) == masked


def test_modules_are_shared_out_by_size():
  sizes = {"m0": 60, "m1": 25, "m2": 10, "m3": 5}
  given = stdlib.split_modules(sizes)
  assert given["m0"] == "train"
  assert given["m1"] == "test"
  assert given["m2"] == "dev"
  assert set(given) == set(sizes)


@pytest.mark.parametrize("sizes", [(100, 1, 1), (7, 7, 7), (1, 1, 1)])
def test_every_split_gets_a_module(sizes):
  given = stdlib.split_modules({f"m{i}": n for i, n in enumerate(sizes)})
  assert sorted(given.values()) == sorted(SPLITS)


def test_texts_of_two_packages_and_copies_are_left_out():
  shared = "the very same five words of text"
  copy = "another text that stands here twice"
  docstrings = [
    Docstring(package, f"{package}.m{i}", "", text)
    for package, side in (("aaaa", "left"), ("bbbb", "right"))
    for i in range(3)
    for text in (
      shared,
      f"words that only the {side} module {'xyz'[i] * 2} has",
      *([copy, copy + "."] if package == "aaaa" else []),
    )
  ]
  task = stdlib.make_task(docstrings, 2)
  texts = [text for split in SPLITS for text in getattr(task, split).texts]
  assert shared not in texts
  assert sum(text.startswith(copy) for text in texts) == 1
  assert len(texts) == 7
