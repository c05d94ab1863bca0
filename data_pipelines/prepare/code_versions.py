# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the bytes of an encoded document follow from, beside its text."""

import functools
import hashlib
import importlib.metadata
import pathlib
import unicodedata


@functools.cache
def code_versions() -> dict[str, str]:
  """Versions of packages and tables by name, and a hash of our own code."""
  code = hashlib.sha256()
  for path in sorted(pathlib.Path(__file__).parents[1].rglob("*.py")):
    code.update(path.read_bytes())
  found = {
    name: importlib.metadata.version(name)
    for name in ("tokenizers", "sentencepiece")
  }
  return found | {
    "Unicode tables": unicodedata.unidata_version,
    "code of data_pipelines": code.hexdigest()[:8],
  }
