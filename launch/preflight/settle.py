# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print findings, and end the command at one that fails."""

import contextlib
import contextvars
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator

from bertjax import files
from launch.preflight.findings import Finding, is_allowed, tell, to_json
from launch.preflight.policy import Policy

# Beside an output that was made although a check of it failed.
RECORD = "report.allowed.json"
# Warnings that were logged inside of `each_once`; None outside of it.
_logged: contextvars.ContextVar[set[str] | None] = contextvars.ContextVar(
  "logged", default=None
)


@contextlib.contextmanager
def each_once() -> Iterator[None]:
  """Log equal warnings once, where a command runs others several times."""
  token = _logged.set(set())
  try:
    yield
  finally:
    _logged.reset(token)


def settle(findings: Iterable[Finding], policy: Policy) -> None:
  """Log each warning and each failure that is allowed; raise for the others.

  Raises:
    ValueError: findings that fail and are not allowed, in one line.
  """
  failures = []
  for finding in findings:
    if finding.level == "fail" and not is_allowed(finding, policy):
      failures.append(finding)
    elif finding.level != "pass":
      _warn(tell(finding, policy))
  if failures:
    names = ",".join(dict.fromkeys(finding.name for finding in failures))
    raise ValueError(
      "; ".join(dict.fromkeys(map(str, failures)))
      + f"; or give --allow={names}"
    )


def _warn(text: str) -> None:
  logged = _logged.get()
  if logged is not None:
    if text in logged:
      return
    logged.add(text)
  logging.warning("%s", text)


def write_record(
  folder: str | os.PathLike[str], findings: Iterable[Finding], policy: Policy
) -> list[pathlib.Path]:
  """Write what did not pass into a folder, where the user allowed a failure.

  Returns:
    The file, or nothing where nothing was allowed.
  """
  record = to_json(findings, policy)
  if not any(entry["allowed"] for entry in record):
    return []
  path = pathlib.Path(folder) / RECORD
  files.write_json(path, record, allow_nan=False)
  return [path]
