# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make schedules and optimizers from a config."""

from bertjax.optim.optimizers import make_optimizer
from bertjax.optim.phased import make_run_schedule
from bertjax.optim.schedules import Schedule, make_schedule

__all__ = ["Schedule", "make_optimizer", "make_run_schedule", "make_schedule"]
