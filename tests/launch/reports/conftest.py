# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A small store with its report, for all tests of this folder."""

import json

import pytest

from launch.reports import store_report
from tests.testing import report_texts


@pytest.fixture(scope="session")
def store(tmp_path_factory):
  folder = tmp_path_factory.mktemp("somewhere") / "unmistakable"
  store = report_texts.make_store(
    folder,
    {"train": report_texts.TRAIN, "validation": report_texts.VALIDATION},
    report_texts.wordpiece(),
    source=report_texts.SOURCE,
    block_tokens=500,
  )
  store_report.write(folder)
  return store


@pytest.fixture
def report(store):
  return json.loads((store.path / "report.json").read_text(encoding="utf-8"))
