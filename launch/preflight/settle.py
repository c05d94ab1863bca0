# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Print findings, and end the command at one that fails."""

import logging
import os
import pathlib
from collections.abc import Iterable

from bertjax import files
from launch.preflight.findings import Finding, to_json
from launch.preflight.policy import Policy

# Beside an output that was made although a check of it failed.
RECORD = "report.allowed.json"


def settle(findings: Iterable[Finding], policy: Policy) -> None:
  """Log each warning and each failure that is allowed; raise for the others.

  Raises:
    ValueError: findings that fail and are not allowed, in one line.
  """
  failures = []
  for finding in findings:
    if finding.level == "fail" and finding.name not in policy.allow:
      failures.append(finding)
    elif finding.level == "fail":
      logging.warning("%s; --allow=%s lets it pass", finding, finding.name)
    elif finding.level == "warn":
      logging.warning("%s", finding)
  if failures:
    names = ",".join(finding.name for finding in failures)
    raise ValueError(
      "; ".join(map(str, failures)) + f"; or give --allow={names}"
    )


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
