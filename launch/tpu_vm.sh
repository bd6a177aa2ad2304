#!/usr/bin/env bash
# A Cloud TPU slice, from creating it to fetching the results: each step is a few gcloud commands.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: launch/tpu_vm.sh [OPTION…] COMMAND [ARGUMENT…]

commands:
  create            make the TPU
  install [FILE…]   install this checkout (its last commit) on every host, and copy files beside it
  run ARGUMENT…     `jal sweep ARGUMENT…` on all hosts together; again: goes on from where it was
  stop              stop the sweep after the round under way, with a checkpoint
  fetch FROM TO     copy a workdir here: gs://BUCKET/…, or a folder on the first host
  delete            delete the TPU, without asking

options:
  --name=NAME       of the TPU [jal]
  --zone=ZONE       [us-central2-b]
  --project=ID      [gcloud's current one]
  --type=TYPE       accelerator type [v4-32]
  --version=V       runtime version [tpu-ubuntu2204-base]
  --spot            create a cheaper TPU that may be taken back
  --dry-run         print the commands instead of running them
  --help            this text

On a slice of several hosts the workdir must be one that all of them see: gs://BUCKET/FOLDER, or a
mounted network folder. Relative paths are below ~/jal, where `install` puts its files.

example:
  launch/tpu_vm.sh --name=pets create
  launch/tpu_vm.sh --name=pets install pets.npz
  launch/tpu_vm.sh --name=pets run --config=dropquery --config.pool.path=pets.npz --workdir=gs://B/pets
  launch/tpu_vm.sh --name=pets fetch gs://B/pets runs/pets
  launch/tpu_vm.sh --name=pets delete
HELP
}

fail() {
  echo "tpu_vm.sh: $1" >&2
  exit 2
}

name=jal zone=us-central2-b project='' type=v4-32 version=tpu-ubuntu2204-base
spot=false dry_run=false
while (($#)); do
  case $1 in
    --name=*) name=${1#*=} ;;
    --zone=*) zone=${1#*=} ;;
    --project=*) project=${1#*=} ;;
    --type=*) type=${1#*=} ;;
    --version=*) version=${1#*=} ;;
    --spot) spot=true ;;
    --dry-run) dry_run=true ;;
    -h | --help) usage && exit ;;
    -*) fail "unknown option $1; see --help." ;;
    *) break ;;
  esac
  shift
done
(($#)) || fail "give a command: create, install, run, stop, fetch or delete; see --help."
subcommand=$1
shift

place=("--zone=$zone")
[[ -z $project ]] || place+=("--project=$project")

# Runs a command, or prints it as a shell would take it.
perform() {
  if $dry_run; then
    printf '%q' "$1"
    printf ' %q' "${@:2}"
    printf '\n'
  else
    "$@"
  fi
}

tpu() {
  perform gcloud compute tpus tpu-vm "$@" "${place[@]}"
}

on_all_hosts() {
  tpu ssh "$name" --worker=all "--command=$1"
}

expect() {
  (($1 == $2)) || fail "$3"
}

create() {
  expect $# 0 "create takes no argument; options go before it."
  local more=("--accelerator-type=$type" "--version=$version")
  ! $spot || more+=(--spot)
  tpu create "$name" "${more[@]}"
}

# The runtimes' own Python may be older than jal needs, so uv brings one.
install() {
  local file
  for file in "$@"; do
    [[ -f $file ]] || fail "there is no file $file."
  done
  local root archive=jal-source.tar.gz
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  local folder=.
  if ! $dry_run; then
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder's name as it is here
    trap "rm -rf '$folder'" EXIT
  fi
  perform git -C "$root" archive --format=tar.gz "--output=$folder/$archive" HEAD
  on_all_hosts 'rm -rf ~/jal/source && mkdir -p ~/jal/source'
  tpu scp "$folder/$archive" "$@" "$name:jal/" --worker=all
  on_all_hosts "set -e; cd ~/jal; tar -xzf $archive -C source; \
python3 -m pip install --quiet --user uv; uv=\$(python3 -m site --user-base)/bin/uv; \
\$uv venv --quiet --allow-existing --python 3.12 venv; \
\$uv pip install --quiet --python venv --reinstall-package jal-learn './source[tpu]' gcsfs"
}

run() {
  (($#)) || fail "run needs the arguments of jal sweep, --config and --workdir."
  local words
  words=$(printf ' %q' "$@" --config.execution.distributed=True)
  on_all_hosts "cd ~/jal && echo \$\$ > sweep.pid && exec venv/bin/jal sweep$words"
}

stop() {
  expect $# 0 "stop takes no argument."
  # shellcheck disable=SC2016  # for the shell of the host
  on_all_hosts 'kill -TERM "$(cat ~/jal/sweep.pid)"'
}

fetch() {
  expect $# 2 "fetch takes two arguments: from where, and to which folder here."
  perform mkdir -p "$2"
  if [[ $1 == gs://* ]]; then
    perform gcloud storage rsync --recursive "$1" "$2"
  else
    local from=$1
    [[ $from == /* ]] || from="jal/$from"
    tpu scp --recurse --worker=0 "$name:$from/*" "$2"
  fi
}

delete() {
  expect $# 0 "delete takes no argument."
  tpu delete "$name" --quiet
}

case $subcommand in
  create | install | run | stop | fetch | delete) "$subcommand" "$@" ;;
  *) fail "unknown command $subcommand; choose from create, install, run, stop, fetch, delete." ;;
esac
