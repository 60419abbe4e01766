# shellcheck shell=bash
# Sourced by every step: its options, the environment, and fan_out for work in shards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./path.sh
# shellcheck source=steps/attend.sh
. steps/attend.sh
patient

# shellcheck disable=SC2034 # ngpu, nodes: steps/train.sh
run='' cmd=local nj=2 ngpu=0 nodes=1 force='' ignore='' dry=''
while (($#)); do
  case $1 in
    --run | --cmd | --nj | --ngpu | --nodes) printf -v "${1#--}" %s "${2:?$1 needs a value}" && shift 2 ;;
    --force) force=1 && shift ;;
    --ignore-disk) ignore=1 && shift ;;
    --dry-run) dry=${2:?$1 needs the number of shards} && shift 2 ;;
    *) echo "error: $0: unknown option $1 (usage: $0 --run exp/TAG/run.json [--cmd local|slurm|sge|PROGRAM] [--nj N] [--ngpu N] [--nodes N] [--force] [--ignore-disk])" >&2 && exit 1 ;;
  esac
done
[[ -f $run || -n $dry ]] || { echo "error: $0: --run names no run file: '$run'" >&2 && exit 1; }
log=$(dirname "$run")/log
case $cmd in
  local | slurm | sge) launcher=("steps/cmd/$cmd") ;;
  *) launcher=(steps/cmd/foreign "$cmd") ;; # a program of the site's, perhaps with options
esac
show=() # a launcher is told of signals, and cancels what it has in a queue
if [[ -n $dry ]]; then # commands are said and not run: an empty word, then a command's, each ended by NUL
  show=(printf '%s\0' '')
  launcher=("${show[@]}" "${launcher[@]}")
else
  launcher=(attend "${launcher[@]}")
fi

# room: what the stage has still to write must fit on the disk before it begins. The driver's estimate is asked
# first; only where there is not four times as much is it worth another look.
room() {
  local name stage need folder available size
  name=$(basename "$0" .sh)
  folder=$(dirname "$run")
  while read -r stage need; do
    [[ $stage == "$name" ]] || continue
    read -r available size < <(stat -f -c '%a %S' "$folder")
    ((available * size < 4 * need + (1 << 20))) || return 0
  done < <([[ ! -f $folder/todo/disk ]] || cat "$folder/todo/disk")
  python -m pysteps.recipe.plan "$run" "$name"
}
[[ -n $dry || -n $ignore ]] || room

# --force is one order, given here: what a launcher starts a second time must not undo what was done since.
[[ -z $force ]] || "${show[@]}" python -m "pysteps.$(basename "$0" .sh)" forget --run "$run"

# fan_out STAGE [launcher options]: plan the shards, do those that wait in at most $nj jobs, gather.
# The jobs' word is one that no path holds: a launcher replaces it wherever it stands.
fan_out() {
  local stage=$1 planned="$dry LIST" todo list jobs && shift
  if [[ -n $dry ]]; then
    "${show[@]}" python -m "pysteps.$stage" plan --run "$run"
  else
    planned=$(python -m "pysteps.$stage" plan --run "$run")
  fi
  read -r todo list <<<"$planned"
  if ((todo > 0)); then
    jobs=$((todo < nj ? todo : nj))
    "${launcher[@]}" "$@" --max-jobs-run "$nj" TIMBREJOB=1:"$jobs" "$log/$stage.TIMBREJOB.log" \
      python -m "pysteps.$stage" job --run "$run" --todo "$list" --job TIMBREJOB --jobs "$jobs"
  fi
  # What another host has written may appear here a little later.
  "${show[@]}" python -m "pysteps.$stage" gather --run "$run" --patience "$([[ $cmd == local ]] && echo 0 || echo 60)"
}
