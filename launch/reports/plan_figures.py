# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the figures of a plan's page."""

from collections.abc import Sequence

from bertjax.plan.results import MemoryUse, StepTime
from launch.reports.page import Ink, draw

_GIB = 2**30
_INKS = {
  "parameters": (Ink.FIRST, 1.0),
  "optimizer": (Ink.FIRST, 0.65),
  "batch": (Ink.FIRST, 0.35),
  "temporaries": (Ink.SECOND, 0.85),
  "padding": (Ink.MUTED, 0.5),
}


def draw_memory(name: str, memory: MemoryUse) -> str:
  """Draw the memory of one device by kind, and the limit of a program.

  Args:
    name: name of the figure, unique on its page.
    memory: memory of one device.
  """
  with draw(name, height=1.3) as drawing:
    axes, start = drawing.axes, 0.0
    for kind, size in memory.by_kind.items():
      ink, alpha = _INKS[kind]
      width = size / _GIB
      axes.barh(0, width, left=start, color=ink, alpha=alpha, label=kind)
      start += width
    limit = memory.limit / _GIB
    axes.axvline(limit, color=Ink.TEXT, linewidth=1.2, linestyle=(0, (3, 2)))
    axes.annotate(
      f"limit {limit:.2f}",
      (limit, 0.55),
      xytext=(-3, 0),
      textcoords="offset points",
      horizontalalignment="right",
      fontsize=7,
      color=Ink.TEXT,
    )
    axes.set_ylim(-0.5, 0.8)
    axes.set_xlim(0, 1.05 * max(limit, start))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_xlabel("GiB on one device")
    axes.legend(
      loc="lower left",
      bbox_to_anchor=(0, 1),
      ncols=5,
      borderaxespad=0,
      handlelength=1,
      columnspacing=1,
      fontsize=7,
    )
  return drawing.svg


def draw_times(name: str, time: StepTime) -> str:
  """Draw the least milliseconds of each part of a step, and of the step.

  Args:
    name: name of the figure, unique on its page.
    time: bounds of the step.
  """
  names = ("compute", "memory", "overlapped", "exposed", "step")
  shown = ("products", "memory traffic", "collectives, overlapped")
  shown += ("collectives, exposed", "step, at least")
  values = [1e3 * getattr(time, each) for each in names]
  with draw(name, height=1.7) as drawing:
    axes = drawing.axes
    places: Sequence[int] = range(len(names))
    inks = [Ink.FIRST] * 4 + [Ink.SECOND]
    axes.barh(places, values, color=inks, height=0.7)
    for place, value in zip(places, values, strict=True):
      axes.annotate(
        f"{value:.2f}",
        (value, place),
        xytext=(3, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=7,
        color=Ink.MUTED,
      )
    axes.set_yticks(list(places), shown)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(*values, 1e-9))
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("ms a step")
  return drawing.svg
