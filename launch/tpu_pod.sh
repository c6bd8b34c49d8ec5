#!/usr/bin/env bash
# Trains on all hosts of a Cloud TPU, one process for each host.
#
#   launch/tpu_pod.sh TPU ZONE TASK CONFIG WORKDIR [MORE OF ttecg train ...]
#   launch/tpu_pod.sh my-v5e-64 us-west4-a generator configs/generator_base.py /mnt/runs/generator
#
# Copies the last commit of this checkout to every host of the TPU named TPU, installs it there with the Python 3.11 of
# Ubuntu 22.04, which TPU images are, and runs `ttecg train` on all hosts; they find each other by themselves. WORKDIR
# lies on a disk that all hosts mount (Filestore, or a bucket by gcsfuse). The same command again goes on from the last
# checkpoint, also on a TPU of another size. LAUNCH_DRY_RUN=1 prints what would be run.
set -euo pipefail
(($# >= 5)) || {
  echo "usage: launch/tpu_pod.sh TPU ZONE TASK CONFIG WORKDIR [MORE OF ttecg train ...]" >&2
  exit 2
}
tpu=$1 zone=$2 task=$3 config=$4 workdir=$5
shift 5
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() {
  if [[ -n ${LAUNCH_DRY_RUN-} ]]; then echo "$*"; else "$@"; fi
}

on_all_hosts() {
  run gcloud compute tpus tpu-vm ssh "$tpu" --zone="$zone" --worker=all --command="$1"
}

printf -v train '%q ' .venv/bin/ttecg train "$task" --config "$config" --workdir "$workdir" --distributed "$@"
printf -v there '%q' "$workdir/config.json"
archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
run git archive --output="$archive" HEAD
run gcloud compute tpus tpu-vm scp "$archive" "$tpu:ttecg.tar.gz" --zone="$zone" --worker=all
on_all_hosts "sudo apt-get -qq update && sudo apt-get -qq install python3.11-venv"
on_all_hosts "mkdir -p ttecg && tar -xzf ttecg.tar.gz -C ttecg"
on_all_hosts "cd ttecg && python3.11 -m venv .venv && .venv/bin/pip install -q -e '.[tpu]'"
on_all_hosts "cd ttecg && $train\$(test -f $there && echo --resume)"
