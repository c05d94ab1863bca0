# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Open stores that a run evaluates beside those that it trains on."""

from data_pipelines.rows.mixture import Mixture, name_paths
from data_pipelines.store.store import Store, open_store

_FORM = "give PATH,PATH or NAME=PATH,NAME=PATH"


def open_further_stores(
  text: str, split: str, trained: Mixture
) -> dict[str, Store]:
  """Open the stores that `evaluation.stores` names.

  Args:
    text: "" for none; PATH,PATH or NAME=PATH,NAME=PATH. A store without a name
      has that of its last folders, as many as make the names differ. A name has
      no "/", so that a path may have "=".
    split: split that is evaluated.
    trained: the stores that the run trains on.

  Returns:
    Stores by name, in the order of `text`.

  Raises:
    ValueError: `text` is not of that form, a name or a store occurs twice or is
      one of the run's own, or a store has another tokenizer or no such split.
  """
  paths = parse_paths(text)
  seen = {
    member.store.sha256: f"a store of the run itself, {member.name}"
    for member in trained.members
  }
  taken = [member.name for member in trained.members]
  stores: dict[str, Store] = {}
  own = [str(member.store.path) for member in trained.members]
  short = name_paths([*own, *paths])[len(own) :]
  for (path, given), folder in zip(paths.items(), short, strict=True):
    name, store = given or folder, open_store(path)
    if store.sha256 in seen:
      raise ValueError(
        f"evaluation.stores: {path} is {seen[store.sha256]}, which is "
        "evaluated anyway; leave it out"
      )
    if name in (*taken, *stores):
      raise ValueError(
        f"evaluation.stores: the name {name} of {path} is that of another "
        f"store; give another one, as NAME={path}"
      )
    _check(path, store, split, trained.members[0].store)
    seen[store.sha256] = f"the same store as {path}"
    stores[name] = store
  return stores


def parse_paths(text: str) -> dict[str, str]:
  """Return the name of each store that `evaluation.stores` names, by its path.

  A name that is not given is "".

  Raises:
    ValueError: `text` is not of the form PATH,PATH or NAME=PATH,NAME=PATH.
  """
  paths: dict[str, str] = {}
  for part in text.split(",") if text else ():
    name, path = _parse(part)
    if path in paths:
      raise ValueError(f"evaluation.stores names {path} twice; give it once")
    paths[path] = name
  return paths


def _parse(part: str) -> tuple[str, str]:
  """Return the name, or "", and the path."""
  before, equals, after = (word.strip() for word in part.partition("="))
  if not equals or "/" in before:
    name, path = "", part.strip()
  else:
    name, path = before, after
  if not path or (equals and not before):
    raise ValueError(f"evaluation.stores: {part!r} is not a store; {_FORM}")
  return name, path


def _check(path: str, store: Store, split: str, ours: Store) -> None:
  known, found = (each.manifest.tokenizer.sha256[:12] for each in (ours, store))
  if known != found:
    raise ValueError(
      f"evaluation.stores: {path} was made with tokenizer {found} and the "
      f"run's store with {known}; prepare it with --tokenizer={ours.path}"
    )
  if split not in store.splits or not store.splits[split].num_tokens:
    raise ValueError(
      f"evaluation.stores: {path} has no {split} split; prepare it again with "
      "--validation=0.05"
    )
