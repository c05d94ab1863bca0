# $1: folder of the environment, $2: folder of the sources.
install() {
  # The Python of TPU images is too old for bertjax; uv installs a newer one.
  # Newer images refuse pip without --break-system-packages.
  python3 -m pip install --quiet --user uv ||
    python3 -m pip install --quiet --user --break-system-packages uv ||
    return 1
  "$HOME/.local/bin/uv" venv --quiet --clear --python=3.12 "$1" ||
    return 1
  "$HOME/.local/bin/uv" pip install --quiet --python="$1/bin/python" \
    "$2[tpu,gcs]"
}
