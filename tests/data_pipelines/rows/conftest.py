# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stores of made-up text."""

from typing import Any

import numpy as np
import pytest

from tests.testing import synthetic


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  return synthetic.make_store(
    tmp_path_factory.mktemp("pretraining") / "made",
    {
      "train": synthetic.draw_documents(200),
      "validation": synthetic.draw_documents(60, seed=1),
    },
    block_tokens=2_000,
    record_tokens=300,
  )


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
  """The text of `made`, with RoBERTa's special tokens around it."""
  return synthetic.make_store(
    tmp_path_factory.mktemp("pretraining") / "roberta",
    {"train": synthetic.draw_documents(200)},
    synthetic.ROBERTA,
    block_tokens=2_000,
    record_tokens=300,
  )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
  """A store of one block, as the embedded corpus is."""
  return synthetic.make_store(
    tmp_path_factory.mktemp("pretraining") / "small",
    {"train": synthetic.draw_documents(40)},
  )


@pytest.fixture(scope="module")
def split(tmp_path_factory):
  documents = synthetic.draw_documents(400)
  documents[11] = np.array([300, 2, 700, 1, 40])
  return synthetic.make_store(
    tmp_path_factory.mktemp("rows") / "made",
    {"train": documents},
    block_tokens=10_000,
    record_tokens=1_000,
  ).split("train")


@pytest.fixture(scope="module")
def where(split):
  return synthetic.places(split)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Three stores: long sentences, short ones, and a single block."""
  made = tmp_path_factory.mktemp("mixture")
  sizes: dict[str, Any] = {"block_tokens": 2_000, "record_tokens": 300}
  for seed, (name, tokens) in enumerate(
    {"long": 14, "short": 3, "other": 9}.items()
  ):
    synthetic.make_store(
      made / name,
      {
        "train": synthetic.draw_documents(90, seed=seed, tokens=tokens),
        "validation": synthetic.draw_documents(9, seed=9, tokens=tokens),
      },
      **({} if name == "other" else sizes),
    )
  return made
