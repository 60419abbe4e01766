#!/usr/bin/env bash
# All tests: the fast tier, or with --all what is long too. Other arguments go to pytest:
#   ./tests/run.sh                          a few minutes on 2 cores
#   ./tests/run.sh --all                    also every corpus, kills, Slurm
#   ./tests/run.sh -k plda -x               what pytest understands
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./path.sh
unset TIMBRE_DRIVER_PID TIMBRE_LOCK_FD TIMBRE_SHOW # a run of the tests is nobody's job

tier='fast' chosen=(-m 'not long') arguments=() parallel=1
for argument in "$@"; do
  case $argument in
    --all) tier='all' chosen=() ;;
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    --pdb | --trace | -s | --capture=no | -n* | --numprocesses* | --collect-only | --co) parallel='' && arguments+=("$argument") ;;
    *) arguments+=("$argument") ;;
  esac
done
workers=$(env -u OMP_NUM_THREADS nproc) # which path.sh has set to 1, and nproc believes
# One file stays on one worker: what a file's tests share is made once.
((workers > 1)) && [[ $parallel ]] && chosen+=(-n "$((workers < 8 ? workers : 8))" --dist loadfile)

echo "tests: $tier tier"
code=0
python -m pytest ${chosen[@]+"${chosen[@]}"} ${arguments[@]+"${arguments[@]}"} || code=$?
echo "tests: $tier tier, $((SECONDS / 60)) min $((SECONDS % 60)) s, $( ((code)) && echo "failed (pytest says $code)" || echo passed)"
exit "$code"
