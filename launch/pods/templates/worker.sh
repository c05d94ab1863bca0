# On one worker: install | start | run | stop | status.
home=$HOME/bertjax-run
log=$home/run.log
pause=${PAUSE_SECONDS:-10}

# Preempted, stuck, or another process was lost: 42; killed by a signal: 128 and
# more.
restartable() { [ "$1" -eq 42 ] || [ "$1" -ge 127 ]; }

# A lock, because another process may have the process id by now.
running() { [ -f "$home/lock" ] && ! flock --nonblock "$home/lock" true; }

# Run in the foreground; return the exit code and write it to $home/exit.
run() {
  local restarts=0 code
  child='' stopping=''
  mkdir -p "$home"
  exec 9>"$home/lock"
  # `running` in another shell holds the lock for a moment.
  flock --wait 5 9 || {
    echo "it is running already"
    return 1
  }
  rm -f "$home/exit"
  echo "$$" >"$home/pid"
  trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" || true' TERM INT
  cd "$HOME/bertjax"
  while :; do
    # Mount before each start, because the machine may have restarted; without
    # the lock, which the mount would keep.
    if ! mount_bucket 9>&-; then
      code=1
      break
    fi
    env "${environment[@]}" "$HOME/bertjax-env/bin/python" "${arguments[@]}" \
      9>&- &
    child=$!
    code=0
    wait "$child" || code=$?
    # The signal ended the wait; the run may still be saving.
    if [ -n "$stopping" ] && kill -0 "$child" 2>/dev/null; then
      code=0
      wait "$child" || code=$?
    fi
    if [ -n "$stopping" ] || ! restartable "$code" ||
      [ "$restarts" -ge "$max_restarts" ]; then
      break
    fi
    restarts=$((restarts + 1))
    echo "exit code $code: restart $restarts of $max_restarts"
    sleep "$pause"
    [ -z "$stopping" ] || break
  done
  echo "$code" >"$home/exit"
  return "$code"
}

start() {
  if running; then
    echo "it is running already"
    return
  fi
  mkdir -p "$home"
  rm -f "$home/exit"
  nohup setsid bash "$0" run >>"$log" 2>&1 </dev/null &
  # Wait until it holds the lock, so that `status` says that it is running.
  for _ in {1..100}; do
    if running || [ -f "$home/exit" ]; then break; fi
    sleep 0.1
  done
  echo "started; its log is $log"
}

stop() {
  local waited=0
  running || return 0
  kill -TERM "$(cat "$home/pid")"
  while running && [ "$waited" -lt "$grace_seconds" ]; do
    sleep 1
    waited=$((waited + 1))
  done
  if running; then
    echo "still saving after $grace_seconds s; not killed"
    return 1
  fi
}

status() {
  if running; then
    echo "running"
  elif [ -f "$home/exit" ]; then
    echo "exit $(cat "$home/exit")"
  else
    echo "absent"
  fi
}

unpack() {
  if running; then
    echo "it is running; stop it first"
    return 1
  fi
  rm -rf "$HOME/bertjax" && mkdir -p "$HOME/bertjax" &&
    tar -xzf "$HOME/bertjax.tar.gz" -C "$HOME/bertjax"
}

case "${1:-}" in
  install)
    unpack && install "$HOME/bertjax-env" "$HOME/bertjax" && install_gcsfuse &&
      mount_bucket
    ;;
  start | run | stop | status) "$1" ;;
  *)
    echo "usage: $0 install | start | run | stop | status" >&2
    exit 2
    ;;
esac
