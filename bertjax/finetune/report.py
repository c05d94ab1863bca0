# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Results of arms as a table for people."""

from collections.abc import Mapping
from typing import Any

from bertjax.trials.markdown import cell, markdown


def table(arms: Mapping[str, Mapping[str, Any]]) -> str:
  """Return a row an arm: chosen rate, dev and test scores over its seeds."""
  return markdown(
    ["from", "learning rate", "dev accuracy", "test accuracy", "test macro F1"],
    [
      [
        name,
        f"{results['learning_rate']:g}",
        cell(results["dev"]["accuracy"]),
        cell(results["test"]["accuracy"]),
        cell(results["test"]["macro_f1"]),
      ]
      for name, results in arms.items()
    ],
  )
