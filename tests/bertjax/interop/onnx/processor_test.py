# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Processors are named, with what they do for integers."""

import pytest

from bertjax.interop.onnx.processor import describe


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    (
      "model name\t: Xeon: a\nflags\t\t: fpu avx512_vnni amx_int8\n\n",
      "Xeon: a, {} cores, int8 by AMX, AVX-512 VNNI",
    ),
    (
      "model name : Old\nflags : fpu avx2\n",
      "Old, {} cores, no instructions for int8 (VNNI, AMX)",
    ),
    (
      "model name : Arm\nFeatures : asimddp\n",
      "Arm, {} cores, int8 by dot product",
    ),
  ],
)
def test_a_processor_is_a_phrase(text, expected, tmp_path):
  (tmp_path / "cpuinfo").write_text(text)
  found = describe(tmp_path / "cpuinfo")
  assert str(found) == expected.format(found.cores)


def test_a_system_without_the_file_is_named_too(tmp_path):
  found = describe(tmp_path / "none")
  assert found.instructions is None
  assert found.cores >= 1
  assert str(found).endswith(" cores, unknown instructions for int8")
