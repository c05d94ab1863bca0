# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Text that YAML readers take for something else."""

import pytest
import yaml

from launch.pods import yaml_text


@pytest.mark.parametrize(
  "text", ["1e5", "0o17", "y", "N", "on", "16x16", "-1", ".5", "~", "1_000", ""]
)
def test_text_that_looks_like_a_number_or_boolean_is_quoted(text):
  written = yaml_text.write({"key": text})
  assert written[5] in "\"'"
  assert yaml.safe_load(written) == {"key": text}
