# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the progress line of a pre-training run measures and shows."""

from collections.abc import Mapping

from bertjax.config import PretrainConfig
from bertjax.objectives import losses
from bertjax.train import flops, progress
from launch.run.assembly import Parts


def make_meter(parts: Parts) -> progress.Meter:
  """Return how the work of a run is measured on its devices."""

  def step_flops(metrics: Mapping[str, tuple[float, float]]) -> float:
    counts = {name: metrics[name][0] for name in flops.COUNTS}
    return flops.train_flops(
      parts.config.model, counts, predictions=metrics["mlm_loss"][1]
    )

  peak = flops.peak_flops(parts.program.mesh.devices.flat[0].device_kind)
  return progress.Meter(
    flops=step_flops, peak=peak and peak * parts.program.mesh.size
  )


def shown_metrics(config: PretrainConfig) -> list[str]:
  """Return the metrics that a run's progress line shows."""
  names = ["mlm"]
  if losses.has_pair_loss(config.objective):
    names.append(config.objective.next_sentence)
  shown = [f"{name}_{what}" for name in names for what in ("loss", "accuracy")]
  return [*shown, "packing_efficiency"]
