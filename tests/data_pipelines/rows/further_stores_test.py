# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores that are evaluated only: their names, and which are refused."""

import dataclasses

import pytest

from bertjax.config import DataConfig
from data_pipelines.rows.further_stores import open_further_stores
from data_pipelines.rows.mixture import open_mixture
from tests.testing import synthetic


def make(path, seed, splits=("train", "validation")):
  documents = {
    name: synthetic.draw_documents(4, seed=10 * seed + number)
    for number, name in enumerate(splits)
  }
  return synthetic.make_store(path, documents).path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  folder = tmp_path_factory.mktemp("further")
  for seed, name in enumerate(("own", "books", "a=1")):
    make(folder / name / "store", seed)
  return folder


@pytest.fixture(scope="module")
def trained(place):
  return open_mixture(DataConfig(store=str(place / "own/store")))


def opened(text, trained):
  return open_further_stores(text, "validation", trained)


def test_names_are_given_or_the_last_folders_that_differ(place, trained):
  books, other = place / "books/store", place / "a=1/store"
  assert opened("", trained) == {}
  found = opened(f"{books}, {other}", trained)
  assert list(found) == ["books/store", "a=1/store"]
  found = opened(f"old = {books},{other}", trained)
  assert list(found) == ["old", "a=1/store"]


def test_mistakes_are_refused_in_one_line(
  place, trained, tmp_path, monkeypatch
):
  own, books, other = (
    place / f"{name}/store" for name in ("own", "books", "a=1")
  )
  without = make(tmp_path / "without", 5, ("train",))
  copy = tmp_path / "copy"
  copy.symlink_to(books)
  tokenizer = dataclasses.replace(synthetic.TOKENIZER, sha256="1" * 64)
  monkeypatch.setattr(synthetic, "TOKENIZER", tokenizer)
  foreign = make(tmp_path / "foreign", 6)
  for text, words in (
    (f"{books},", "'' is not a store; give PATH,PATH"),
    (f"={books}", "is not a store"),
    ("old=", "is not a store"),
    (f"{books},{books}", "twice; give it once"),
    (f"{books},{copy}", "the same store as"),
    (str(own), "a store of the run itself, store"),
    (f"x={books},x={other}", "the name x of .* give another one, as NAME="),
    (str(foreign), "1111.* and the run's store with .* --tokenizer="),
    (str(without), "has no validation split; prepare it again"),
    (str(tmp_path / "absent"), "absent"),
  ):
    with pytest.raises(ValueError, match=words) as caught:
      opened(text, trained)
    assert "\n" not in str(caught.value)
