# From here on, no line depends on the run.
poll=${POLL_SECONDS:-30}
worker=bertjax-worker.sh

usage() {
  cat >&2 <<END
usage: $0 COMMAND
  up       create, wait, install and start
  watch    up, again after every preemption, until the run is done
  create   request the slices      wait     until they are active
  install  send the committed sources to every worker and install them
  start    start the run on every worker, unless it is running
  status   show the state of the slices and of every worker
  logs     follow the log of the first worker
  stop     ask every worker to save and stop
  delete   delete the slices; the bucket keeps the run
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

# Run $1 on every worker of every slice, on all slices at once.
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
    # Preempted or refused: a queued resource does not come back by itself.
    SUSPENDED | SUSPENDING | FAILED) delete || return 1 ;;
    *)
      echo "$name exists already" >&2
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
  # Each line returns its failure: `set -e` has no effect in a function that is
  # called in a condition, as `watch` does.
  local folder node
  if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    echo "changes that are not committed are not sent" >&2
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
          # Created by another start of this script, or not installed yet.
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
