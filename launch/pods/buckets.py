# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bucket as a folder on every host, by Cloud Storage FUSE.

The launcher writes plain files, so its workdir is a folder of the mounted
bucket. Options: those of `gcsfuse --help`, and "Key differences from a POSIX
file system" in the pages on Cloud Storage FUSE.
"""

import re
from typing import NamedTuple

ROOT = "/buckets"

# What one host wrote, the others are to see: nothing is remembered of files,
# nor of their absence. Large machines would remember for ever.
_UNCACHED = ("ttl-secs", "negative-ttl-secs")
# Tokenizer and bundle are put in place by renaming a folder, which a flat
# bucket refuses from this number of files on; unless told, from one on.
_RENAMED = 200_000

CSI_OPTIONS = ",".join(
  (
    "implicit-dirs",
    *(f"metadata-cache:{name}:0" for name in _UNCACHED),
    f"file-system:rename-dir-limit:{_RENAMED}",
  )
)
GCSFUSE_FLAGS = (
  "--implicit-dirs",
  *(f"--metadata-cache-{name}=0" for name in _UNCACHED),
  f"--rename-dir-limit={_RENAMED}",
)


class Place(NamedTuple):
  """A folder in a bucket.

  Attributes:
    bucket: its name.
    path: below the bucket, without slashes at the ends; "" the bucket itself.
  """

  bucket: str
  path: str

  @property
  def folder(self) -> str:
    """Where it lies on every host."""
    return f"{mount_point(self.bucket)}/{self.path}".rstrip("/")


def mount_point(bucket: str) -> str:
  """Where `bucket` is mounted on every host."""
  return f"{ROOT}/{bucket}"


def parse(workdir: str) -> Place:
  """`gs://BUCKET/a/b` → (BUCKET, "a/b").

  Raises:
    ValueError: it is in no bucket, or no folder can be called so.
  """
  match = re.fullmatch(r"gs://([a-z0-9][-._a-z0-9]*)(/\S*)?", workdir)
  if not match:
    raise ValueError(
      f"--workdir={workdir!r}: hosts of a pod share no disk; give gs://…"
    )
  path = (match[2] or "").strip("/")
  if path and not {"", ".", ".."}.isdisjoint(path.split("/")):
    raise ValueError(
      f"--workdir={workdir!r}: a bucket has no folder that is called '', '.' "
      "or '..'; leave it out"
    )
  return Place(match[1], path)
