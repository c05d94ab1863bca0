# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page on exports names every format with its flags, and every class."""

import pathlib
import re

from bertjax.interop.architectures import ARCHITECTURES
from bertjax.interop.outputs import PROBLEM_TYPES
from bertjax.interop.sentence_transformers import POOLINGS
from launch import export

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "export.md").read_text()


def test_the_page_has_every_format_with_the_flags_that_it_reads():
  lines = re.findall(r"^\| `(\w+)` \| a .+? \|(.*)\|$", PAGE, re.MULTILINE)
  flags = {name: set(re.findall(r"`--(\w+)`", cell)) for name, cell in lines}
  of_checks = {"allow", "strict", "thresholds"}
  reads = {name: set(form.reads) for name, form in export.FORMATS.items()}
  for name, read in reads.items():
    if "policy" in read:
      reads[name] = read - {"policy"} | of_checks
  assert flags == reads


def test_the_page_has_every_class_and_what_its_outputs_mean():
  named = set(re.findall(r"`(Bert\w+)`", PAGE))
  assert named == set(ARCHITECTURES)
  assert set(PROBLEM_TYPES) <= set(re.findall(r"`(\w+)`", PAGE))
  assert f"--pooling={'|'.join(POOLINGS)}" in PAGE
