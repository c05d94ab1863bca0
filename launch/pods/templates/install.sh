# $1: folder of the environment, $2: folder of the sources.
install() {
  # TPU images bring an older Python than bertjax takes; uv brings its own.
  # Newer images keep pip to themselves unless told otherwise.
  python3 -m pip install --quiet --user uv ||
    python3 -m pip install --quiet --user --break-system-packages uv ||
    return 1
  "$HOME/.local/bin/uv" venv --quiet --clear --python=3.12 "$1" ||
    return 1
  "$HOME/.local/bin/uv" pip install --quiet --python="$1/bin/python" \
    "$2[tpu,gcs]"
}
