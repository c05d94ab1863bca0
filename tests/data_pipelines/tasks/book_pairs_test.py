# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of sentences of books, and what must not give their labels away."""

import json
from collections import Counter

import pytest

from data_pipelines.host_rng import HostRng
from data_pipelines.tasks.book_pairs import (
  SPLITS,
  TASKS,
  Book,
  make_task,
  read_books,
  split_authors,
)

SIZES = {"train": 40, "dev": 10, "test": 20}


def sentence(author, book, paragraph, number):
  return (
    f"Here {author} tells in book {book}, paragraph {paragraph}, part {number}."
  )


def make_book(author, title, paragraphs=30, sentences=8):
  return Book(
    author,
    title,
    [
      [sentence(author, title, p, s) for s in range(sentences)]
      for p in range(paragraphs)
    ],
  )


def place(text):
  """(author, book, paragraph, sentence) of a text of `sentence`."""
  words = text.rstrip(".").replace(",", "").split()
  return words[1], words[5], int(words[7]), int(words[9])


@pytest.fixture(scope="module")
def books():
  return [make_book(f"Author{n % 9}", f"{n}") for n in range(12)]


@pytest.mark.parametrize("name", TASKS)
def test_no_author_is_in_two_splits(books, name):
  made = make_task(name, books, SIZES)
  authors = {
    split: {example["author"] for example in made.examples[split]}
    for split in SPLITS
  }
  assert len(set.union(*authors.values())) == sum(map(len, authors.values()))
  for split, found in made.examples.items():
    assert len(found) == SIZES[split] == made.counts[split].examples
    assert made.counts[split].authors == len(authors[split])
    labels = Counter(example["label"] for example in found)
    assert set(labels.values()) == {SIZES[split] // 2}


def test_a_split_takes_as_many_of_each_author(books):
  made = make_task("order", books, SIZES)
  counts = Counter(e["author"] for e in made.examples["train"])
  assert max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_a_function_of_books_and_seed(books, name):
  made = make_task(name, books, SIZES)
  assert make_task(name, books[::-1], SIZES) == made
  assert make_task(name, books, SIZES, seed=1) != made


def test_the_right_choice_follows_and_the_other_is_of_the_same_pages(books):
  right = []
  for example in make_task("which_follows", books, SIZES).examples["train"]:
    label = example["label"]
    second = example["context"][example["context"].index(".") + 2 :]
    own, end = place(second)[:3], place(second)[3]
    assert place(example["choices"][label]) == (*own, end + 1)
    other = place(example["choices"][1 - label])
    assert other[:2] == own[:2]
    assert 0 < abs(other[2] - own[2]) <= 10
    right += [example["choices"][label], example["choices"][1 - label]]
  # The choices alone tell nothing: each is right once and wrong once.
  assert set(Counter(right).values()) == {2}


def test_both_labels_of_same_paragraph_are_as_far_apart(books):
  for example in make_task("same_paragraph", books, SIZES).examples["train"]:
    one, two = place(example["sentence1"]), place(example["sentence2"])
    assert one[:2] == two[:2]
    assert 8 * (two[2] - one[2]) + two[3] - one[3] == 3
    assert (one[2] == two[2]) == (example["label"] == "same")
    assert {one[3], two[3]} <= set(range(1, 7))  # of 8


def test_swapped_sentences_are_the_other_way_around(books):
  for example in make_task("order", books, SIZES).examples["train"]:
    one, two = place(example["sentence1"]), place(example["sentence2"])
    assert one[:3] == two[:3]
    step = 1 if example["label"] == "in_order" else -1
    assert two[3] - one[3] == step


def test_only_prose_is_asked_about(books):
  bad = "CHAPTER I. THE BEGINNING OF ALL THINGS."
  broken = [
    Book(
      book.author,
      book.title,
      [[*p[:3], bad, *p[4:]] for p in book.paragraphs],
    )
    for book in books
  ]
  for name in TASKS:
    made = make_task(name, broken, SIZES)
    assert bad not in json.dumps(made.examples)


def test_sentences_of_train_are_left_out_elsewhere_and_counted(books):
  copied = [Book(f"Author{n}", "copy", books[0].paragraphs) for n in range(9)]
  sizes = {"train": 10, "dev": 10, "test": 10}
  made = make_task("order", copied, sizes)
  texts = [
    {
      text
      for e in made.examples[split]
      for text in (e["sentence1"], e["sentence2"])
    }
    for split in SPLITS
  ]
  assert not texts[0] & (texts[1] | texts[2])
  assert made.counts["train"].left_out == 0
  assert made.counts["test"].left_out > 0


def test_a_fifth_of_the_authors_are_of_test():
  names = {f"{n:02}" for n in range(20)}
  found = split_authors(names, HostRng("a"))
  assert [len(found[split]) for split in SPLITS] == [14, 2, 4]
  assert names == {name for split in SPLITS for name in found[split]}


def test_too_few_books_are_told():
  with pytest.raises(ValueError, match=r"of 2 authors.*three authors or more"):
    make_task("order", [make_book("A", "1"), make_book("B", "2")], SIZES)
  short = [make_book(name, "1", paragraphs=1) for name in "ABC"]
  with pytest.raises(ValueError, match="order has no example for train"):
    make_task("order", short, SIZES)


def test_books_are_read_with_their_paragraphs(tmp_path):
  path = tmp_path / "books.jsonl"
  text = "One day\nit rained. It stopped.\n\nThe end came."
  line = json.dumps({"author": "A", "title": "T", "text": text})
  path.write_text(line + "\n\n")
  assert list(read_books(str(path))) == [
    Book("A", "T", [["One day it rained.", "It stopped."], ["The end came."]])
  ]
  path.write_text(line + '\n{"title": "T", "text": ""}\n')
  with pytest.raises(ValueError, match=r"books.jsonl:2 is no object.*'author'"):
    list(read_books(str(path)))
  path.write_text('{"author": null, "title": "T", "text": "It rained."}\n')
  with pytest.raises(ValueError, match=r"books.jsonl:1 is no object.*no text"):
    list(read_books(str(path)))
