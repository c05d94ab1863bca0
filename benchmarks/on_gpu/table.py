# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The results of a card as Markdown."""

from collections.abc import Mapping
from typing import Any

from bertjax.trials.markdown import markdown


def render(results: Mapping[str, Any]) -> str:
  """Return the page of a card: its steps, its limits and the other jobs."""
  jobs: Mapping[str, Any] = results["jobs"]
  versions = ", ".join(f"{n} {v}" for n, v in results["versions"].items())
  rows = [_step_row(name, found) for name, found in _steps(jobs)]
  headers = (
    *("step", "rows", "ms", "real tokens/s", "TFLOP/s", "MFU"),
    *("GB planned", "GB at the peak"),
  )
  parts = [f"# {results['card']}", "", f"With {versions}.", ""]
  if rows:
    parts += [markdown(headers, rows), ""]
  for name, found in jobs.items():
    if not _is_step(found):
      parts += [f"{name}:", "", *_lines(found), ""]
  return "\n".join(parts)


def _steps(jobs: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
  found = [(name, each) for name, each in jobs.items() if _is_step(each)]
  batches = jobs.get("batches", ())
  if isinstance(batches, list):
    found += [("batches", each) for each in batches if _is_step(each)]
  return found


def _is_step(found: Any) -> bool:
  return isinstance(found, Mapping) and "real_tokens_per_s" in found


def _step_row(name: str, found: Mapping[str, Any]) -> list[str]:
  mfu = found.get("mfu")
  memory = (found.get("bytes_planned"), found.get("bytes_peak"))
  return [
    name,
    str(found["rows"]),
    f"{found['ms']:.2f}",
    f"{found['real_tokens_per_s']:,.0f}",
    f"{found['model_tflops']:.1f}",
    f"{mfu:.1%}" if mfu else "–",
    *(f"{each / 1e9:.1f}" if each else "–" for each in memory),
  ]


def _lines(found: Any, indent: str = "") -> list[str]:
  if isinstance(found, list):
    return [f"{indent}- {_shown(each)}" for each in found]
  lines = []
  for name, value in found.items():
    if isinstance(value, Mapping):
      lines += [f"{indent}- {name}:", *_lines(value, f"{indent}  ")]
    else:
      lines.append(f"{indent}- {name}: {_shown(value)}")
  return lines


def _shown(value: Any) -> str:
  return f"{value:.4g}" if isinstance(value, float) else str(value)
