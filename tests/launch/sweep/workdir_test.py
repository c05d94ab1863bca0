# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A study replaces results in the folder of a study alone."""

import pytest

from bertjax.config import SweepConfig
from bertjax.trials.store import IDENTITY
from launch.sweep.report import REPLACED
from launch.sweep.workdir import check_workdir


@pytest.mark.parametrize("name", REPLACED)
def test_results_are_replaced_in_the_folder_of_a_study_alone(name, tmp_path):
  (tmp_path / name).touch()
  with pytest.raises(ValueError, match=f"has {name}, which this command would"):
    check_workdir(SweepConfig(), str(tmp_path))
  (tmp_path / IDENTITY).touch()
  check_workdir(SweepConfig(), str(tmp_path))
