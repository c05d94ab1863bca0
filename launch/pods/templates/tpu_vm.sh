# From here on no line depends on the run.
poll=${POLL_SECONDS:-30}
worker=bertjax-worker.sh

usage() {
  cat >&2 <<END
usage: $0 COMMAND
  up       create, wait, install, start
  watch    up, and again whenever the slices are taken away, until it is done
  create   ask for the slices      wait     until they are there
  install  send the sources (what is committed), install them
  start    start it on every worker, unless it runs
  status   of the slices and of every worker
  logs     follow the first worker's log
  stop     ask every worker to save and stop
  delete   give the slices back; the bucket keeps the run
END
  exit 2
}

queued() {
  local verb=$1
  shift
  gcloud compute tpus queued-resources "$verb" "$name" "${place[@]}" "$@"
}

state() {
  queued describe --format='value(state.state)' 2>/dev/null || echo ABSENT
}

# Runs $1 on every worker of every slice, slices side by side.
everywhere() {
  local node process failed=0 processes=()
  for node in "${nodes[@]}"; do
    gcloud compute tpus tpu-vm ssh "$node" "${place[@]}" --worker=all \
      --command="$1" &
    processes+=("$!")
  done
  for process in "${processes[@]}"; do
    wait "$process" || failed=1
  done
  return "$failed"
}

on_first() {
  gcloud compute tpus tpu-vm ssh "${nodes[0]}" "${place[@]}" --worker=0 \
    --command="$1"
}

create() {
  case "$(state)" in
    ABSENT) ;;
    # Taken away or refused: a queued resource does not come back by itself.
    SUSPENDED | SUSPENDING | FAILED) delete || return 1 ;;
    *)
      echo "$name is there already" >&2
      return 0
      ;;
  esac
  queued create "${creation[@]}"
}

wait_active() {
  local now
  while :; do
    now=$(state)
    case "$now" in
      ACTIVE) return 0 ;;
      ABSENT | FAILED | SUSPENDED)
        echo "$name is $now; create it again" >&2
        return 1
        ;;
    esac
    echo "$name is $now" >&2
    sleep "$poll"
  done
}

install_all() {
  # Each line says that it failed: a function called in a condition, as by
  # watch, does not stop at an error by itself.
  local folder node
  if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    echo "what is not committed stays here" >&2
  fi
  folder=$(mktemp -d) || return 1
  git archive --format=tar.gz --output="$folder/bertjax.tar.gz" HEAD ||
    return 1
  worker_script >"$folder/$worker"
  for node in "${nodes[@]}"; do
    gcloud compute tpus tpu-vm scp "$folder/bertjax.tar.gz" \
      "$folder/$worker" "$node:" "${place[@]}" --worker=all || return 1
  done
  rm -rf "$folder"
  everywhere "bash $worker install"
}

start() { everywhere "bash $worker start"; }

status() {
  echo "$name is $(state)"
  everywhere "bash $worker status"
}

delete() { queued delete --force --quiet; }

up() {
  create && wait_active && install_all && start
}

watch() {
  local outcome
  while :; do
    case "$(state)" in
      ACTIVE)
        outcome=$(on_first "bash $worker status" || echo unreachable)
        case "$outcome" in
          *"exit 0"*)
            echo "done"
            return 0
            ;;
          *exit*)
            echo "stopped with $outcome; see $0 logs" >&2
            return 1
            ;;
          # Made by another start of this script, or not installed yet.
          *absent* | *unreachable*) install_all && start || true ;;
        esac
        ;;
      SUSPENDED | FAILED | ABSENT) up || true ;;
    esac
    sleep "$poll"
  done
}

case "${1:-}" in
  up | watch | create | start | status | delete) "$1" ;;
  wait) wait_active ;;
  install) install_all ;;
  logs) on_first 'tail -n 100 -F bertjax-run/run.log' ;;
  stop) everywhere "bash $worker stop" ;;
  *) usage ;;
esac
