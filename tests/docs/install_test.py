# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page on installing names every extra, and setup.py every package."""

import pathlib
import re
import runpy

import setuptools

import bertjax

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text()


def arguments(monkeypatch):
  """What setup.py gives to setuptools."""
  given = {}
  monkeypatch.chdir(ROOT)
  monkeypatch.setattr(setuptools, "setup", lambda **each: given.update(each))
  runpy.run_path(str(ROOT / "setup.py"))
  return given


def test_the_page_lists_every_extra(monkeypatch):
  rows = re.findall(r"^\| (`.+?`) \| (.+) \|$", PAGE, re.MULTILINE)
  named = [name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)]
  assert sorted(named) == sorted(arguments(monkeypatch)["extras_require"])


def test_the_version_stands_in_one_place(monkeypatch):
  assert arguments(monkeypatch)["version"] == bertjax.__version__


def test_a_bound_is_given_only_with_a_reason(monkeypatch):
  """An upper bound keeps users from updates; each has its comment."""
  bounded = {
    re.split(r"[<>=]", package)[0]
    for package in arguments(monkeypatch)["install_requires"]
    if "<" in package
  }
  assert bounded == {"jax", "orbax-checkpoint"}
