# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in for gcloud, for pip and for the run on a worker."""

import os
import pathlib
import time

WORKERS = 2
SECONDS = 60

# In place of the environment's Python: says what it was asked, ends as told.
PYTHON = """#!/usr/bin/env bash
printf '%s\\n' "$@" >>"$HOME/asked"
env >"$HOME/environment"
[ ! -f "$HOME/waits" ] || {
  trap 'sleep 0.3; echo saved >>"$HOME/asked"; exit 42' TERM
  touch "$HOME/waiting"
  while :; do sleep 0.05; done
}
code=$(head -n 1 "$HOME/codes" 2>/dev/null || true)
sed -i 1d "$HOME/codes" 2>/dev/null
exit "${code:-0}"
"""

GCLOUD = f"""#!/usr/bin/env bash
echo "$*" >>"$FAKE/calls"
shift 2
group=$1 verb=$2
shift 2
case "$group $verb" in
  "queued-resources describe") cat "$FAKE/state" 2>/dev/null || exit 1 ;;
  "queued-resources create") echo "${{NEXT_STATE:-ACTIVE}}" >"$FAKE/state" ;;
  "queued-resources delete") rm "$FAKE/state" ;;
  "tpu-vm scp")
    for number in $(seq 0 {WORKERS - 1}); do
      mkdir -p "$FAKE/${{3%:}}-w$number"
      cp "$1" "$2" "$FAKE/${{3%:}}-w$number/"
    done
    ;;
  "tpu-vm ssh")
    node=$1
    numbers=$(seq 0 {WORKERS - 1})
    for argument in "$@"; do
      case "$argument" in
        --command=*) command=${{argument#--command=}} ;;
        --worker=0) numbers=0 ;;
      esac
    done
    for number in $numbers; do
      export HOME="$FAKE/$node-w$number"
      cd "$HOME" && bash -c "$command" || exit 1
    done
    ;;
  *) exit 3 ;;
esac
"""

# What mounts a bucket. A worker's mounts lie in its $HOME. gcsfuse stays in the
# background, with whatever it was left open.
MOUNTING = {
  "curl": """#!/usr/bin/env bash
[[ "${@: -1}" == https://packages.cloud.google.com/* ]] && echo keys
""",
  "lsb_release": "#!/usr/bin/env bash\necho jammy\n",
  "mountpoint": """#!/usr/bin/env bash
[ -e "$HOME/mounted/${@: -1}" ]
""",
  "sudo": """#!/usr/bin/env bash
echo "$*" >>"$HOME/sudo"
case "$*" in
  tee*) cat >>"$HOME/tee" ;;
  apt-get*install\\ gcsfuse) ln -sf "$TOOLS/gcsfuse.deb" "$TOOLS/gcsfuse" ;;
  umount*) exit 32 ;;
esac
""",
  "gcsfuse.deb": """#!/usr/bin/env bash
echo "$*" >>"$HOME/mounts"
[ ! -e "$HOME/forbidden" ] || exit 1
mkdir -p "$HOME/mounted/${@: -1}"
sleep 2 >/dev/null 2>&1 &
""",
}

# pip: brings uv, which makes the environment with the Python above.
PYTHON3 = """#!/usr/bin/env bash
mkdir -p "$HOME/.local/bin"
cp "$FAKE/bin/uv" "$HOME/.local/bin/uv"
"""
UV = """#!/usr/bin/env bash
[ "$1" = venv ] || { echo "$*" >>"$HOME/installed"; exit 0; }
mkdir -p "${@: -1}/bin" && cp "$FAKE/bin/run_python" "${@: -1}/bin/python"
"""


def executable(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  path.chmod(0o755)


def mounting_tools(folder: pathlib.Path):
  """Put them into a folder; return what finds them there."""
  for name, text in MOUNTING.items():
    executable(folder / name, text)
  return {"TOOLS": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}


def wait_for(path: pathlib.Path):
  end = time.monotonic() + SECONDS
  while not path.exists():
    assert time.monotonic() < end, f"{path} does not come"
    time.sleep(0.05)
