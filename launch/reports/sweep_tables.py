# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the tables of the page of a study, from its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import flatten_fields
from bertjax.trials.markdown import cell

_NONE = cell(None)
COMPARED = (
  *("arm", "measure", "difference", "95 % interval", "95 %, seeds drawn"),
  *("p, corrected", "effect", "to seed noise", "seeds needed", "conclusion"),
)
# The column before that of a comparison whose examples were drawn from as well.
_BEFORE = "95 %, seeds drawn"
_RESAMPLED = "95 %, other examples too"
_CONCLUSIONS = {
  "different": "different",
  "equivalent": "equivalent",
  "undecided": "not distinguishable",
  "no spread": "no spread",
}


def measures(report: Mapping[str, Any]) -> list[str]:
  """Return the metrics of all arms, in the order of the first."""
  names = [name for values in report["arms"].values() for name in values]
  return list(dict.fromkeys(names))


def baseline_first(
  report: Mapping[str, Any], by_arm: Mapping[str, Any]
) -> list[tuple[str, Any]]:
  """Return (arm, value) of all arms, that of the baseline first."""
  return sorted(by_arm.items(), key=lambda item: item[0] != report["baseline"])


def view_published(
  report: Mapping[str, Any], table: Mapping[str, Any]
) -> dict[str, Any]:
  """Return a published table, with the arms that train as its rows do."""
  metric = report["answer"]["metric"]
  return {
    "source": table["source"],
    "about": table["about"],
    "columns": ["published row", "arm here", f"{words(metric)} here"]
    + [f"{name}, published" for name in table["columns"]],
    "rows": [
      [
        row["name"],
        ", ".join(row["arms"]) or _NONE,
        ", ".join(
          cell(report["arms"][arm][metric])
          for arm in row["arms"]
          if metric in report["arms"].get(arm, {})
        )
        or _NONE,
        *map(str, row["values"]),
      ]
      for row in table["rows"]
    ],
  }


def is_resampled(report: Mapping[str, Any]) -> bool:
  """Return whether the test examples of a comparison were drawn from."""
  return any("examples" in each["bootstrap"] for each in report["comparisons"])


def comparison_columns(report: Mapping[str, Any]) -> list[str]:
  """Return the columns of `comparisons`."""
  after = COMPARED.index(_BEFORE) + 1
  more = [_RESAMPLED] if is_resampled(report) else []
  return [*COMPARED[:after], *more, *COMPARED[after:]]


def comparisons(report: Mapping[str, Any]) -> list[list[str]]:
  """Return a row for each comparison of the ends of the runs."""
  after = COMPARED.index(_BEFORE) + 1
  rows = []
  for each in report["comparisons"]:
    row, found = compared(each), each["bootstrap"]
    if is_resampled(report):
      row.insert(after, _interval(found.get("both", found.get("examples"))))
    rows.append(row)
  return rows


def _interval(interval: Mapping[str, float] | None) -> str:
  if not interval:
    return _NONE
  return f"{interval['low']:+.4f} to {interval['high']:+.4f}"


def compared(each: Mapping[str, Any]) -> list[str]:
  """Return the row of a comparison, as `COMPARED` names its columns."""
  return [
    each["name"],
    words(each["metric"]),
    f"{each['mean']:+.4f}",
    _interval(each["interval"]),
    _interval(each["bootstrap"].get("seeds")),
    _p(each["corrected_p"]),
    _ratio(each["effect"]),
    _ratio(each["noise"]),
    _seeds_needed(each),
    _CONCLUSIONS[each["conclusion"]],
  ]


def _ratio(value: float | None) -> str:
  return _NONE if value is None else f"{value:+.2f}"


def _seeds_needed(each: Mapping[str, Any]) -> str:
  """Return it as the sentence of the comparison has it."""
  needed = each["seeds_needed"]
  if needed is None:
    return _NONE
  if each["conclusion"] == "undecided":
    needed = max(needed, len(each["differences"]) + 1)
  return f"{needed:,}"


def cost_columns(report: Mapping[str, Any]) -> list[str]:
  """Return the columns of `costs`."""
  planned = ["parameters", "steps", "tokens", "own", "random", "FLOPs"]
  return [
    *("arm", "trials done"),
    *(planned if report["planned_costs"] else ["steps"]),
    *(["tokens read"] if _any_read(report) else []),
    "seconds",
  ]


def costs(
  report: Mapping[str, Any], timing: Mapping[str, Any]
) -> list[list[str]]:
  """Return what a trial of each arm costs; measured values are means."""
  rows = []
  for arm, _ in baseline_first(report, report["changes"]):
    trials = [
      each
      for each in report["trials"]
      if each["arm"] == arm and each["state"] == "done"
    ]
    row = [arm, str(len(trials))]
    if report["planned_costs"]:
      cost = report["planned_costs"][arm]
      work = cost["work"]
      row += [f"{cost['parameters']:,}", f"{cost['steps']:,}"]
      row += [f"{work[name]:,.0f}" for name in ("tokens", "own", "random")]
      row.append(f"{work['flops']:.3e}")
    else:
      row.append(_mean([each["cost"].get("steps") for each in trials]))
    if _any_read(report):
      row.append(_mean([*report["tokens_seen"].get(arm, {}).values()]))
    row.append(_mean([timing["trials"].get(each["trial"]) for each in trials]))
    rows.append(row)
  return rows


def _any_read(report: Mapping[str, Any]) -> bool:
  return any(report["tokens_seen"].values())


def _mean(values: Sequence[float | None]) -> str:
  known = [value for value in values if value is not None]
  return f"{sum(known) / len(known):,.0f}" if known else _NONE


def configs(
  report: Mapping[str, Any],
) -> list[tuple[str, list[tuple[str, str]]]]:
  """Return the whole configs and hashes, by what they are of."""
  groups = {
    "fine-tuning of a trial"
    if report["trains"] == "finetune"
    else "pre-training of a trial, before an arm changes it": report["base"],
    "fine-tuning that probes a trial": report["finetune"],
    "identity: what all trials share, with hashes": report["identity"],
  }
  if report["trains"] == "finetune":
    del groups["fine-tuning that probes a trial"]
  return [
    (name, [(n, str(value)) for n, value in flatten_fields(fields).items()])
    for name, fields in groups.items()
  ]


def number(value: float | None) -> str:
  """Return a value of a trial; a dash where it has none."""
  return _NONE if value is None else f"{value:.4f}"


def _p(value: float | None) -> str:
  if value is None:
    return _NONE
  return "< 0.001" if value < 0.001 else f"{value:.2g}"


def words(name: str) -> str:
  """Return the name of a metric in words."""
  return name.replace("_", " ")
