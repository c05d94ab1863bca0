# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the files that a path, folder or glob names, here or in a bucket."""

import glob
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from data_pipelines.corpora.filesystems import (
  File,
  open_filesystem,
  reraise_readably,
)
from data_pipelines.corpora.folders import (
  HIDDEN,
  SEVERAL_SPLITS,
  Sieve,
  count_labels,
  describe_passed_over,
  find_artifact,
  is_hidden,
)


class Found(NamedTuple):
  """What a part of a corpus names.

  Attributes:
    files: the files to read, in a fixed order.
    passed_over: what is not read, by path; see `Sieve.passed_over`.
  """

  files: list[File]
  passed_over: dict[str, str]


def find_files(
  part: str, known: Callable[[str], bool], exclude: Sequence[str] = ()
) -> Found:
  """Return the files that `part` names.

  A folder stands for all known files below it. Hidden files, and what programs
  write (stores, bundles, models, tokenizers), are passed over, there and below
  a folder that a glob matches.

  Args:
    part: a file, a glob, or a folder, as a path or as any URL of fsspec.
    known: returns whether a file of this name can be read.
    exclude: paths or URLs of folders that are never read and not noted.

  Raises:
    ValueError: no file is found, or the place cannot be read.
  """
  if "://" in part:
    found = _remote(part, known, exclude)
  else:
    found = _local(part, known, {os.path.realpath(path) for path in exclude})
  if not found.files:
    what = "matches no file" if glob.has_magic(part) else "does not exist"
    passed = describe_passed_over(count_labels(found.passed_over.values()))
    raise ValueError(
      f"corpus {part} {what}{passed and f' but {passed}'}; give a file, folder "
      "or glob that exists"
    )
  return found


def _local(
  part: str, known: Callable[[str], bool], excluded: Collection[str]
) -> Found:
  path, sieve = os.path.expanduser(part), Sieve(known, excluded)
  with reraise_readably(part, remote=False):
    if os.path.isdir(path):
      paths = sorted(_walk(path, sieve))
      _check_folder(part, paths, os.listdir(path), sieve)
    elif os.path.exists(path):
      paths = [path]
    else:
      paths = [p for p in _glob(path) if _matches_text(p, path, sieve)]
    files = [File.at(str(pathlib.Path(path))) for path in paths]
  return Found(files, sieve.passed_over)


def _walk(top: str, sieve: Sieve) -> Iterator[str]:
  """Yield files below a folder; follows links and visits no folder twice."""
  seen = set[str]()
  walk = os.walk(top, onerror=_raise, followlinks=True)
  for place, folders, names in walk:
    real = os.path.realpath(place)
    if real in seen or not (
      place == top or sieve.enters(place, real, lambda names=names: names)
    ):
      folders.clear()
      continue
    seen.add(real)
    for name in filter(is_hidden, folders):
      sieve.passed_over[os.path.join(place, name)] = HIDDEN
    # Sorted, so that the same one of two links to a folder always comes first.
    folders[:] = sorted(name for name in folders if not is_hidden(name))
    yield from (
      path
      for path in (os.path.join(place, name) for name in names)
      if sieve.takes(path)
    )


def _raise(error: OSError) -> None:
  raise error


def _glob(pattern: str) -> list[str]:
  # For "nowhere/**" glob names the folder, which is not there.
  found = glob.glob(pattern, recursive=True)
  return sorted(filter(os.path.lexists, found))


def _matches_text(path: str, pattern: str, sieve: Sieve) -> bool:
  """Return whether a match of a glob is read; notes folders that are not."""
  for folder in _folders_matched(path, pattern):
    names = lambda folder=folder: os.listdir(folder)
    if not sieve.enters(folder, os.path.realpath(folder), names):
      return False
  if not os.path.isdir(path):
    return True  # a dangling link, too: opening it says what is wrong
  _note_folder(path, pattern, sieve)
  return False


def _folders_matched(path: str, pattern: str) -> Iterator[str]:
  """Yield the folders above a match that the pattern does not spell out."""
  fixed = 0
  for step in pattern.split("/"):
    if glob.has_magic(step):
      break
    fixed += 1
  steps = path.rstrip("/").split("/")
  if os.path.isdir(path):
    steps.append("")
  for end in range(fixed + 1, len(steps)):
    yield "/".join(steps[:end])


def _note_folder(path: str, pattern: str, sieve: Sieve) -> None:
  # The files below a folder match `**` themselves.
  if pattern.rstrip("/").removesuffix("/*").rpartition("/")[2] != "**":
    name = path.rstrip("/").rpartition("/")[2]
    sieve.passed_over[path] = f"folder {name}/"


def _remote(
  part: str, known: Callable[[str], bool], exclude: Sequence[str]
) -> Found:
  filesystem, path = open_filesystem(part)
  sieve = Sieve(known, set(_excluded(part, exclude)))
  with reraise_readably(part, remote=True):
    try:
      info = filesystem.info(path)
    except FileNotFoundError:
      found = _remote_matches(filesystem, path, sieve)
    else:
      found = {path: info}
      if not _is_file(info):
        found = _remote_folder(part, filesystem, path.rstrip("/"), sieve)
  files = [File.remote(filesystem, n, found[n]) for n in sorted(found)]
  passed_over = {
    filesystem.unstrip_protocol(name): label
    for name, label in sieve.passed_over.items()
  }
  return Found(files, passed_over)


def _excluded(part: str, exclude: Sequence[str]) -> Iterator[str]:
  """Yield paths of folders to exclude on the file system of `part`."""
  protocol = part.partition("://")[0]
  for place in exclude:
    if place.startswith(f"{protocol}://"):
      yield open_filesystem(place)[1].rstrip("/")
    elif protocol == "file" and "://" not in place:
      yield os.path.realpath(place)


def _remote_matches(
  filesystem: Any, pattern: str, sieve: Sieve
) -> dict[str, Any]:
  """Find files by a glob; as on a local disk, `*` matches no hidden file."""
  if not glob.has_magic(pattern):
    return {}
  steps = set(pattern.split("/"))
  hidden = any(step[:1] == "." and glob.has_magic(step) for step in steps)
  found = {}
  for name, info in sorted(filesystem.glob(pattern, detail=True).items()):
    if not hidden and any(map(is_hidden, set(name.split("/")) - steps)):
      continue
    above = [*_folders_matched(name, pattern)]
    if not _is_file(info):
      above = [*dict.fromkeys((*above, name.rstrip("/")))]
    if not all(
      sieve.enters(folder, folder, lambda f=folder: _names(filesystem, f))
      for folder in above
    ):
      continue
    if _is_file(info):
      found[name] = info
    else:
      _note_folder(name, pattern, sieve)
  return found


def _names(filesystem: Any, folder: str) -> list[str]:
  return [
    name.rpartition("/")[2] for name in filesystem.ls(folder, detail=False)
  ]


def _remote_folder(
  part: str, filesystem: Any, root: str, sieve: Sieve
) -> dict[str, Any]:
  listed = {
    name: info
    for name, info in sorted(filesystem.find(root, detail=True).items())
    if _is_file(info)
  }
  names = dict[str, list[str]]()
  for name in listed:
    folder, _, last = name.rpartition("/")
    names.setdefault(folder, []).append(last)

  def enters(folder: str) -> bool:
    if is_hidden(folder):
      sieve.passed_over[folder] = HIDDEN
      return False
    return sieve.enters(folder, folder, lambda: names.get(folder, ()))

  found = {}
  for name, info in listed.items():
    steps = name.removeprefix(root + "/").split("/")[:-1]
    above = ("/".join((root, *steps[: i + 1])) for i in range(len(steps)))
    if all(enters(folder) for folder in above) and sieve.takes(name):
      found[name] = info
  _check_folder(part, list(found), names.get(root, ()), sieve)
  return found


def _is_file(info: dict[str, Any]) -> bool:
  return info.get("type") == "file"


def _check_folder(
  part: str, found: Collection[str], names: Collection[str], sieve: Sieve
) -> None:
  """Refuse a folder that a program wrote, and a folder without text files.

  Args:
    part: the part of the corpus that names the folder.
    found: the files that are read.
    names: names of the files in the folder itself.
    sieve: what was passed over.
  """
  artifact = find_artifact(part, names)
  if artifact == SEVERAL_SPLITS:
    raise ValueError(
      f"corpus {part} is a {artifact}; give one, as {part.rstrip('/')}/train"
    )
  if artifact:
    raise ValueError(
      f"corpus {part} is the folder of a {artifact}, not of text; give another "
      "folder, or files"
    )
  if not found:
    passed = describe_passed_over(count_labels(sieve.passed_over.values()))
    raise ValueError(
      f"corpus {part} is a folder without a file of a known format"
      f"{passed and f' (it has {passed})'}; name files by a glob, or give "
      "another folder"
    )
