# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The largest differences that do not matter, stated before a study runs."""

import math


def read_margins(text: str) -> dict[str, float]:
  """Return {metric: margin} of "METRIC=VALUE;METRIC=VALUE".

  Raises:
    ValueError: a part has no such form, a value is not above 0, or a metric
      is there twice.
  """
  margins: dict[str, float] = {}
  for part in filter(None, (part.strip() for part in text.split(";"))):
    metric, _, value = (each.strip() for each in part.partition("="))
    try:
      margin = float(value)
    except ValueError:
      margin = math.nan
    if not metric or not 0 < margin < math.inf:
      raise ValueError(
        f"margins={part!r} is no METRIC=VALUE with a value above 0; give the "
        "largest difference that does not matter, as mlm_loss=0.01"
      )
    if metric in margins:
      raise ValueError(f"margins gives {metric} twice; give it once")
    margins[metric] = margin
  return margins
