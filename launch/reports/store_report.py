# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write the report of a prepared store: `report.html` and `report.json`.

Both depend only on the store's bytes: equal stores have equal reports.
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bertjax import files
from launch.reports import page

if TYPE_CHECKING:
  from data_pipelines.rows.format_report import FormatReport
  from launch.preflight.store import StoreFigures

HTML = "report.html"
JSON = "report.json"


def write(
  path: str | os.PathLike[str],
  figures: "StoreFigures | None" = None,
  formats: "Sequence[FormatReport] | None" = None,
) -> list[pathlib.Path]:
  """Write the report of the store at `path` into it.

  Args:
    path: folder of the store.
    figures: what `measure_store` returns of it; None measures it here.
    formats: what `report_formats` returns of it; None measures it here.

  Returns:
    The files: `report.html`, `report.json`.

  Raises:
    ValueError: `path` is not a store, or the store is damaged.
    OSError: the report cannot be written.
  """
  # Imported here, because JAX, grain and matplotlib take seconds.
  from data_pipelines.rows.format_report import report_formats
  from data_pipelines.store.store import open_store
  from launch.preflight.findings import to_json
  from launch.preflight.policy import Policy
  from launch.preflight.rows import judge_rows
  from launch.preflight.store import judge_store, measure_store
  from launch.reports import samples, store_numbers, store_view

  store = open_store(path)
  with samples.begin(store.path) as sampled:
    numbers = store_numbers.collect(store, formats or report_formats(store))
    # By the limits of the table, so that equal stores have equal reports.
    policy = Policy()
    numbers["findings"] = to_json(
      [
        *judge_store(figures or measure_store(store), policy),
        *judge_rows(numbers["formats"], policy),
      ],
      policy,
    )
    view = store_view.make_view(numbers)
    numbers["samples"] = sampled()
  view["samples"] = store_view.show_samples(
    numbers["samples"], numbers["tokenizer"]["name"]
  )
  html = page.render("store_report.html", {"report": numbers, **view})
  paths = [store.path / HTML, store.path / JSON]
  files.write_text(paths[0], html)
  files.write_json(paths[1], numbers, sort_keys=True, allow_nan=False)
  return paths


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
  """Return the numbers of the report that `write` wrote into a store."""
  text = (pathlib.Path(path) / JSON).read_text(encoding="utf-8")
  return json.loads(text)
