#!/usr/bin/env bash
# Runs a command as N processes on this machine, which together make one run.
#
#   launch/local.sh [--restarts K] N ttecg train unet --config configs/unet_debug.py --workdir runs/unet --distributed
#
# Each process gets JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID. When one ends badly, the others are
# ended too, and its status is the job's. With --restarts K such a job is started again up to K times; a wrong input
# (status 2) never is. Where its --workdir holds a run, --resume is added. SIGTERM and Ctrl-C go to every process: training
# then saves and ends. LAUNCH_DRY_RUN=1 prints what would be run.
set -euo pipefail

usage() {
  echo "usage: launch/local.sh [--restarts K] N COMMAND ..." >&2
  exit 2
}

restarts=0
if [[ ${1-} == --restarts ]]; then
  [[ ${2-} =~ ^[0-9]+$ ]] || usage
  restarts=$2
  shift 2
fi
[[ ${1-} =~ ^[1-9][0-9]*$ && $# -ge 2 ]] || usage
count=$1
shift
pids=()
asked=

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

workdir_of() { # what follows --workdir, or --workdir=
  local word previous=
  for word in "$@"; do
    if [[ $previous == --workdir ]]; then echo "$word"; fi
    if [[ $word == --workdir=* ]]; then echo "${word#*=}"; fi
    previous=$word
  done
}

send() {
  local pid
  for pid in "${pids[@]}"; do kill -s "$1" "$pid" 2>/dev/null || true; done
}

start() {
  local index address
  address=127.0.0.1:$(free_port)
  pids=()
  for ((index = 0; index < count; index++)); do
    local set=("JAX_COORDINATOR_ADDRESS=$address" "JAX_COORDINATOR_BIND_ADDRESS=$address"
      "JAX_NUM_PROCESSES=$count" "JAX_PROCESS_ID=$index")
    if [[ -n ${LAUNCH_DRY_RUN-} ]]; then
      echo "${set[*]} $*"
      continue
    fi
    env "${set[@]}" "$@" &
    pids+=($!)
  done
}

watch() { # until all have ended well, or one badly: its status
  local pid left=("${pids[@]}") alive status
  while ((${#left[@]})); do
    alive=()
    for pid in "${left[@]}"; do
      if kill -0 "$pid" 2>/dev/null; then
        alive+=("$pid")
      else
        status=0
        wait "$pid" 2>/dev/null || status=$?
        if ((status)); then
          echo "launch/local.sh: a process ended with status $status; ending the others" >&2
          return "$status"
        fi
      fi
    done
    left=("${alive[@]}")
    sleep 0.1
  done
}

end_others() { # which have two seconds to say what they have to say
  local until=$((SECONDS + 2))
  while ((SECONDS < until)) && [[ -n $(jobs -pr) ]]; do sleep 0.1; done
  send KILL
  wait 2>/dev/null || true
}

trap 'asked=1; send TERM' TERM INT
for ((attempt = 0; ; attempt++)); do
  folder=$(workdir_of "$@")
  if [[ " $* " != *" --resume "* && -f $folder/config.json ]]; then set -- "$@" --resume; fi
  status=0
  start "$@"
  watch || status=$?
  end_others
  if ((status == 0 || status == 2 || attempt == restarts)) || [[ -n $asked ]]; then exit "$status"; fi
  echo "launch/local.sh: starting again ($((attempt + 1)) of $restarts)" >&2
done
