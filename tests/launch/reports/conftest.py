# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A small store with its report, for all tests of this folder."""

import json

import pytest

from launch.reports import store_report
from tests.testing import report_texts, studies


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


@pytest.fixture(scope="session")
def probed(tmp_path_factory):
  """Three arms with three seeds that were probed three times."""
  return studies.write_study(
    tmp_path_factory.mktemp("probed"),
    studies.make_config(
      arms=("mlm_nsp", "nsp_rows", "mlm"),
      seeds=3,
      probes={"at": (0.25, 0.5, 1.0)},
    ),
    curves=False,
  )
