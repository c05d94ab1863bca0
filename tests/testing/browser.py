# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Open a page in Chromium, without a screen."""

import re
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Runs in a copy of the page.
SCRIPT = """<script>
document.title = "wide " + document.documentElement.scrollWidth;
</script>"""


def measure_page(path, width, folder):
  """The width that a page needs in a window, and what its console says."""
  program = next(filter(None, map(shutil.which, NAMES)), None)
  if program is None:
    pytest.skip("Chromium is not installed")
  copy = folder / f"{path.stem}-{width}.html"
  source = path.read_text(encoding="utf-8")
  copy.write_text(source.replace("</body>", f"{SCRIPT}</body>"))
  got = subprocess.run(
    [
      program,
      *("--headless", "--no-sandbox", "--disable-gpu"),
      *("--enable-logging=stderr", f"--window-size={width},900"),
      *(f"--user-data-dir={folder / 'profile'}", "--dump-dom"),
      copy.as_uri(),
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  (needed,) = re.findall(r"<title>wide (\d+)</title>", got.stdout)
  said = [line for line in got.stderr.splitlines() if "CONSOLE" in line]
  return int(needed), said
