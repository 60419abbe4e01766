# shellcheck shell=bash
# Sourced by every step: its options, the environment, and fan_out for work in shards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./path.sh

# shellcheck disable=SC2034 # ngpu: steps/train.sh
run='' cmd=local nj=2 ngpu=0 force=''
while (($#)); do
  case $1 in
    --run | --cmd | --nj | --ngpu) printf -v "${1#--}" %s "${2:?$1 needs a value}" && shift 2 ;;
    --force) force=1 && shift ;;
    *) echo "error: $0: unknown option $1 (usage: $0 --run exp/TAG/run.json [--cmd local|slurm|PROGRAM] [--nj N] [--ngpu N] [--force])" >&2 && exit 1 ;;
  esac
done
[[ -f $run ]] || { echo "error: $0: --run names no run file: '$run'" >&2 && exit 1; }
log=$(dirname "$run")/log
case $cmd in
  local | slurm) launcher=("steps/cmd/$cmd") ;;
  *) read -ra launcher <<<"$cmd" ;; # a program of the site's, perhaps with options
esac

# fan_out STAGE [launcher options]: plan the shards, do those that wait in at most $nj jobs, gather.
# The jobs' word is one that no path holds: a launcher replaces it wherever it stands.
fan_out() {
  local stage=$1 planned todo list jobs && shift
  planned=$(python -m "pysteps.$stage" plan --run "$run" ${force:+--force})
  read -r todo list <<<"$planned"
  if ((todo > 0)); then
    jobs=$((todo < nj ? todo : nj))
    "${launcher[@]}" "$@" --max-jobs-run "$nj" TIMBREJOB=1:"$jobs" "$log/$stage.TIMBREJOB.log" \
      python -m "pysteps.$stage" job --run "$run" --todo "$list" --job TIMBREJOB --jobs "$jobs"
  fi
  python -m "pysteps.$stage" gather --run "$run"
}
