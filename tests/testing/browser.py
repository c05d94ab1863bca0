# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Open a page in Chromium, without a screen."""

import html
import re
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Runs in a copy of the page, which is in a frame: no window of Chromium is
# narrower than 500 pixels.
SCRIPT = """<script>
parent.document.title = "wide " + document.documentElement.scrollWidth;
</script>"""


def measure_page(path, width, folder):
  """The width that a page needs in a window, and what its console says."""
  source = path.read_text(encoding="utf-8")
  framed = html.escape(source.replace("</body>", f"{SCRIPT}</body>"))
  copy = folder / f"{path.stem}-{width}.html"
  copy.write_text(
    f'<title></title><iframe width="{width}" height="800" srcdoc="{framed}">'
    "</iframe>"
  )
  got = _run(folder, "--dump-dom", copy.as_uri())
  (needed,) = re.findall(r"<title>wide (\d+)</title>", got.stdout)
  return int(needed), _said(got)


def print_page(path, folder):
  """The PDF of a page, and what its console says."""
  target = folder / f"{path.stem}.pdf"
  got = _run(
    folder, f"--print-to-pdf={target}", "--no-pdf-header-footer", path.as_uri()
  )
  return target.read_bytes(), _said(got)


def _run(folder, *arguments):
  program = next(filter(None, map(shutil.which, NAMES)), None)
  if program is None:
    pytest.skip("Chromium is not installed")
  return subprocess.run(
    [
      program,
      *("--headless", "--no-sandbox", "--disable-gpu"),
      *("--enable-logging=stderr", "--window-size=1600,900"),
      f"--user-data-dir={folder / 'profile'}",
      *arguments,
    ],
    capture_output=True,
    text=True,
    check=True,
  )


def _said(got):
  return [line for line in got.stderr.splitlines() if "CONSOLE" in line]
