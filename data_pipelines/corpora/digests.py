# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Hashes of a corpus, remembered as long as its files stay as they are.

The hash of the text is part of a store's recipe, so each command that names a
corpus needs it. Reading terabytes only to find that the store is there would
cost hours. A remembered hash is taken where name, size and version of every
file are the same: of a local file the times of its last changes, one of which
no program can set; of a file in a bucket its tag.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence

from bertjax import files as atomic
from data_pipelines.corpora.filesystems import File, cache_folder

# Smaller corpora are hashed faster than anybody notices.
_LEAST_BYTES = 1 << 26
# A file that changes again within a tick of the clock looks unchanged.
_TICK_SECONDS = 2.0


def digest_files(files: Sequence[File], kinds: Sequence[str]) -> str:
  """Return the SHA-256 of content and kind of files, in order."""

  def compute() -> str:
    digest = hashlib.sha256()
    for file, kind in zip(files, kinds, strict=True):
      digest.update(kind.encode())
      digest.update(file.digest())
    return digest.hexdigest()

  return remember(files, ["files", *kinds], compute)


def remember(
  files: Sequence[File], salt: Sequence[str], compute: Callable[[], str]
) -> str:
  """Return `compute()`, or what it has returned for the same files before.

  Args:
    files: what the result depends on.
    salt: what else it depends on.
    compute: reads the files and returns a hash.
  """
  size = sum(file.size for file in files)
  if size < _LEAST_BYTES or not all(file.version for file in files):
    return compute()
  stamps = [(file.name, file.size, file.version) for file in files]
  key = hashlib.sha256(json.dumps([stamps, list(salt)]).encode()).hexdigest()
  path = cache_folder("identities") / key[:32]
  with contextlib.suppress(OSError):
    if len(known := path.read_text(encoding="utf-8")) == len(key):
      return known
  result = compute()
  with contextlib.suppress(OSError):  # a cache that cannot be written
    if all(map(_is_settled, files)):
      atomic.write_text(path, result)
  return result


def _is_settled(file: File) -> bool:
  """Return whether a file is as it was when it was found, and not new."""
  if file.filesystem is not None:
    return True
  changed = file.last_change()
  return (
    changed is not None
    and changed < time.time() - _TICK_SECONDS
    and File.at(file.path).version == file.version
  )
