# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The results of trials that several processes run together."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.parallel import multihost
from bertjax.trials.store import Trial, TrialStore


class SharedTrialStore(TrialStore):
  """A store that process 0 reads and writes for all processes of a run.

  So all of them know the same results, and run the same trials. They make the
  same calls in the same order; in a run of one process it is a `TrialStore`.
  """

  def __init__(
    self,
    folder: str | pathlib.Path,
    identity: Mapping[str, Any],
    newer: Sequence[str] = (),
    guard: Callable[[], None] = lambda: None,
  ) -> None:
    """Open the store, or make it; see `TrialStore`."""
    self.folder = pathlib.Path(folder)
    self.guard = guard
    multihost.broadcast_from_first(
      "trials",
      lambda: TrialStore.__init__(self, folder, identity, newer, guard),
    )

  def result(self, trial: Trial) -> dict[str, Any] | None:
    """Return the result of a finished trial, or None, on all processes."""
    return multihost.broadcast_from_first(
      "result", lambda: TrialStore.result(self, trial)
    )

  def _write(self, trial: Trial, result: Mapping[str, Any]) -> None:
    multihost.broadcast_from_first(
      "stored", lambda: TrialStore._write(self, trial, result)
    )
