#!/usr/bin/env bash
# One sweep over several processes of this machine, each with virtual CPU devices: multi-host, rehearsed.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: launch/local_multiprocess.sh [OPTION…] -- SWEEP_ARGUMENT…

Runs `jal sweep SWEEP_ARGUMENT… --config.execution.distributed=True` in several processes that work
on it together, as the hosts of a TPU pod or of a cluster would. The first process prints.

  --processes=N   how many processes [2]
  --devices=M     virtual CPU devices of each process [2]
  --port=P        where the processes meet on localhost [a free one]
  --grace=S       seconds the others get to end after one process has failed [30]
  --dry-run       print the commands instead of running them
  --help          this text

Ctrl-C and SIGTERM reach every process, which stop after the round under way; the same command goes
on from there. The exit code is that of the first process that failed, else 0.

example:
  launch/local_multiprocess.sh --processes=2 --devices=2 -- --config=quickstart --workdir=runs/two
HELP
}

fail() {
  echo "local_multiprocess.sh: $1" >&2
  exit 2
}

processes=2 devices=2 port='' grace=30 dry_run=false
while (($#)); do
  case $1 in
    --processes=*) processes=${1#*=} ;;
    --devices=*) devices=${1#*=} ;;
    --port=*) port=${1#*=} ;;
    --grace=*) grace=${1#*=} ;;
    --dry-run) dry_run=true ;;
    -h | --help) usage && exit ;;
    --) shift && break ;;
    *) fail "unknown option $1; arguments of jal sweep go after --." ;;
  esac
  shift
done
for setting in "processes=$processes" "devices=$devices" "port=${port:-1}" "grace=$grace"; do
  [[ ${setting#*=} =~ ^[1-9][0-9]*$ ]] || fail "--$setting must be a whole number from 1."
done
(($#)) || fail "give the arguments of jal sweep after --; see --help."

# Picks a port on which nothing listens.
free_port() {
  local candidate
  for _ in {1..50}; do
    candidate=$((20000 + RANDOM % 20000))
    if ! (exec 3<>"/dev/tcp/localhost/$candidate") 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no free port found; give one with --port."
}

command=(jal sweep "$@" --config.execution.distributed=True)
if $dry_run; then
  port=${port:-PORT}
else
  command -v jal >/dev/null || fail "there is no command jal; activate the environment it is in."
  port=${port:-$(free_port)}
fi

common=(JAX_PLATFORMS=cpu "JAX_NUM_CPU_DEVICES=$devices"
  "JAX_COORDINATOR_ADDRESS=localhost:$port" "JAX_NUM_PROCESSES=$processes")
started=()
for ((index = 0; index < processes; index++)); do
  if $dry_run; then
    printf '%q ' env "${common[@]}" "JAX_PROCESS_ID=$index" "${command[@]}"
    printf '&\n'
  else
    env "${common[@]}" "JAX_PROCESS_ID=$index" "${command[@]}" &
    started+=("$!")
  fi
done
if $dry_run; then
  echo wait
  exit
fi

# Signals those that still run.
signal_running() {
  local running
  for running in $(jobs -pr); do
    kill "-$1" "$running" 2>/dev/null || true
  done
}

# SIGTERM for both: a process started in the background ignores SIGINT.
asked_to_stop=false
trap 'asked_to_stop=true; signal_running TERM' INT TERM

code=0 deadline=''
waiting=("${started[@]}")
while ((${#waiting[@]})); do
  running=" $(jobs -pr | tr '\n' ' ')"
  left=()
  for process in "${waiting[@]}"; do
    if [[ $running == *" $process "* ]]; then
      left+=("$process")
      continue
    fi
    ended=0
    wait "$process" || ended=$?
    if ((ended && !code)); then
      # Without it the others would wait for ever.
      code=$ended
      deadline=$((SECONDS + grace))
      # A second signal would cut short the checkpoint of those that are stopping already.
      $asked_to_stop || signal_running TERM
    fi
  done
  waiting=(${left[@]+"${left[@]}"})
  if [[ -n $deadline ]] && ((SECONDS >= deadline)); then
    signal_running KILL
  fi
  ((${#waiting[@]} == 0)) || sleep 0.2 || true # Ctrl-C ends the sleep too
done
exit "$code"
