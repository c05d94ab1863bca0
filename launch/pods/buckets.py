# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bucket that Cloud Storage FUSE mounts as a folder on every host.

The launcher writes plain files, so its workdir is a folder of the mounted
bucket. The options are those of `gcsfuse --help`; their reasons are in "Key
differences from a POSIX file system" of the Cloud Storage FUSE documentation.
"""

import re
from typing import NamedTuple

ROOT = "/buckets"

# Hosts must see each other's files, so neither files nor their absence are
# cached; by default, large machines cache both forever.
_UNCACHED = ("ttl-secs", "negative-ttl-secs")
# Tokenizer and bundle are written by renaming a folder. A flat bucket refuses
# that for folders of more files than this; the default is 0.
_RENAME_LIMIT = 200_000

CSI_OPTIONS = ",".join(
  (
    "implicit-dirs",
    *(f"metadata-cache:{name}:0" for name in _UNCACHED),
    f"file-system:rename-dir-limit:{_RENAME_LIMIT}",
  )
)
GCSFUSE_FLAGS = (
  "--implicit-dirs",
  *(f"--metadata-cache-{name}=0" for name in _UNCACHED),
  f"--rename-dir-limit={_RENAME_LIMIT}",
)


class Place(NamedTuple):
  """A folder in a bucket.

  Attributes:
    bucket: name of the bucket.
    path: path in the bucket, without slashes at the ends; "" is the bucket.
  """

  bucket: str
  path: str

  @property
  def folder(self) -> str:
    """Path of the folder on every host."""
    return f"{mount_point(self.bucket)}/{self.path}".rstrip("/")


def mount_point(bucket: str) -> str:
  """Return where `bucket` is mounted on every host."""
  return f"{ROOT}/{bucket}"


def parse(workdir: str) -> Place:
  """Return `gs://BUCKET/a/b` as (BUCKET, "a/b").

  Raises:
    ValueError: `workdir` is in no bucket, or cannot be the name of a folder.
  """
  match = re.fullmatch(r"gs://([a-z0-9][-._a-z0-9]*)(/\S*)?", workdir)
  if not match:
    raise ValueError(
      f"--workdir={workdir!r}: hosts of a pod share no disk; give gs://BUCKET/…"
    )
  path = (match[2] or "").strip("/")
  if path and not {"", ".", ".."}.isdisjoint(path.split("/")):
    raise ValueError(
      f"--workdir={workdir!r}: no folder of a bucket is named '', '.' or '..'; "
      "leave that part out"
    )
  return Place(match[1], path)
