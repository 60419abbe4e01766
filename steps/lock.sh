# shellcheck shell=bash
# Sourced by run.sh: one run a work folder, and what an earlier, killed one left there.
#
# Two things keep others out. flock on .lock: exact, inherited by jobs, and true on one host at least. A lease
# (.lease: host, process, Slurm job), renewed by a heartbeat: for other hosts, where a file system may not
# pass locks on (steps/lease.py).
#
#   TIMBRE_LEASE_SECONDS   between two renewals (default 15); after five missed ones a lease is stale
# shellcheck source=steps/attend.sh
. "$(dirname "${BASH_SOURCE[0]}")/attend.sh"
TIMBRE_ROOT=${TIMBRE_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)}

# lock FOLDER: hold FOLDER until this shell ends, or say who does and exit. Jobs inherit the descriptor, so
# what a killed driver left running still holds it, and the restart waits until that has ended.
lock() {
  mkdir -p "$1"
  exec {TIMBRE_LOCK_FD}>>"$1/.lock"
  export TIMBRE_LOCK_FD
  local code=0
  flock --nonblock --conflict-exit-code 75 "$TIMBRE_LOCK_FD" 2>/dev/null || code=$?
  if ((code == 75)); then
    local host pid
    read -r host pid <"$1/.lock.holder" || true
    if [[ ${host:-} == "$(uname -n)" ]] && ! living "${pid:-0}"; then
      echo "$1: waiting for jobs that an earlier run (process $pid, gone) left running"
      flock --timeout 600 "$TIMBRE_LOCK_FD" || { echo "error: $1/.lock is still held (see: fuser '$1/.lock')" >&2 && exit 1; }
    else
      echo "error: $1 is in use by process ${pid:-?} on ${host:-?} (wait for it, or name another folder with --work)" >&2
      exit 1
    fi
  elif ((code)); then
    echo "$1: this file system has no locks; .lease alone keeps other runs off" >&2
  fi
  lease "$1/.lease" "$code"
  echo "$(uname -n) $$" >"$1/.lock.holder"
}

# lease FILE NOLOCKS: hold it, and keep it fresh until this shell ends; exit if another host's is.
lease() {
  local program=$TIMBRE_ROOT/steps/lease.py
  TIMBRE_LEASE_FILE=$1
  TIMBRE_LEASE_MINE=$(python3 -IS "$program" take "$1" "$(uname -n)" $$ "$2") || exit 1
  ( # without the lock: when we are killed, it must hold nobody up
    exec {TIMBRE_LOCK_FD}>&-
    exec python3 -IS "$program" keep "$1" "$TIMBRE_LEASE_MINE" $$
  ) </dev/null >/dev/null &
  TIMBRE_HEARTBEAT=$!
  disown            # or bash would say that it was killed
  trap release EXIT # now: the child above must not run it
}

# release: the lease goes when the run ends, however it ends; one that another has by now stays.
release() {
  kill -KILL "$TIMBRE_HEARTBEAT" 2>/dev/null || true
  [[ $(cat "$TIMBRE_LEASE_FILE" 2>/dev/null) != "$TIMBRE_LEASE_MINE" ]] || rm -f -- "$TIMBRE_LEASE_FILE"
}

# left_over FOLDER [NAME]: cancel what killed runs left in a queue, whichever their tag and launcher; but NAME,
# exp/TAG/log/.slurm/STAGE, is left to the launcher of that stage, which may go on with it.
left_over() {
  local found=("$1"/exp/*/log/.slurm/*.json "$1"/exp/*/log/.sge/*)
  [[ -e ${found[0]} || -e ${found[1]:-} ]] || return 0
  attend python3 -S "$TIMBRE_ROOT/steps/cmd/left.py" "$1" "${@:2}"
}

# sweep FOLDER [NAME]: remove what dead writers have left half-written (.NAME.part.HOST.PID.N): those of this
# host; and those of others, after an hour without a byte, unless NAME's jobs may still be queued (left_over).
sweep() {
  local part pid host
  host=$(uname -n)
  find "$1" -name ".*.part.$host.[0-9]*.[0-9]*" -prune -print0 | while IFS= read -r -d '' part; do
    pid=${part%.*} pid=${pid##*.}
    if living "$pid" && sleep 0.2 && living "$pid"; then continue; fi # a killed one may be about to go
    rm -rf -- "$part"
  done
  [[ ! -e ${2:-}.json ]] || return 0
  find "$1" -name '.*.part.*.[0-9]*.[0-9]*' ! -name ".*.part.$host.*" -mmin +60 -prune -exec rm -rf -- {} +
}

# living PID: whether such a process runs, whosever it is. A dead one that nobody has collected yet answers
# signals, too.
living() {
  [[ $(LC_ALL=C && kill -0 "$1" 2>&1) != *'No such process'* ]] || return 1
  [[ ! -d /proc/$1 || $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [!ZX]* ]]
}
