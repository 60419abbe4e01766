# shellcheck shell=bash
# Sourced by run.sh: one run a work folder, and children that do not outlive the driver.
#
# Two things keep others out. flock on .lock: exact, inherited by jobs, and true on one host at least. A lease
# (.lease: host, process, Slurm job), renewed by a heartbeat: for other hosts, where a file system may not
# pass locks on. Its age is told by the file system's own clock, so hosts may disagree about the time.
#
#   TIMBRE_LEASE_SECONDS   between two renewals (default 15); after five missed ones a lease is stale

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
  lease "$1" "$code"
  echo "$(uname -n) $$" >"$1/.lock.holder"
  sweep "$1"
}

# lease FOLDER UNLOCKED: write FOLDER/.lease and keep it fresh; exit if another host's is. UNLOCKED is not 0
# where flock failed: then this host's own processes are looked for too.
lease() {
  local file=$1/.lease mine host='' pid='' job='' every=${TIMBRE_LEASE_SECONDS:-15} age tries=0
  mine="$(uname -n) $$ ${SLURM_JOB_ID:--}"
  until (set -o noclobber && echo "$mine" >"$file") 2>/dev/null; do # made by one of two, on NFS too
    ((tries++ < 5)) || { echo "error: $file cannot be written" >&2 && exit 1; }
    read -r host pid job <"$file" || sleep 0.5 # gone meanwhile, or being written
    age=$(lease_age "$file") || continue
    if [[ -z ${job:-} ]]; then
      ((tries > 2)) || continue # what a full disk left has no words
    elif [[ $host == "$(uname -n)" ]]; then
      if (($2)) && kill -0 "$pid" 2>/dev/null; then
        echo "error: $1 is in use by process $pid on $host (wait for it, or name another folder with --work)" >&2
        exit 1
      fi # where locks work, we hold the one that its process held
    elif [[ $job != - && $job == "${SLURM_JOB_ID:-}" ]]; then
      echo "$1: this job was requeued; it ran on $host before"
    elif ((age < 5 * every)); then
      [[ $job == - ]] && job='' || job=", Slurm job $job"
      echo "error: $1 is in use by process $pid on $host$job (its lease was renewed $age s ago; if that host is" \
        "gone, wait until $((5 * every)) s have passed, or name another folder with --work)" >&2
      exit 1
    else
      echo "$1: taking over from process $pid on $host, whose lease was last renewed $age s ago"
    fi
    rm -f -- "$file"
  done
  trap release EXIT
  TIMBRE_LEASE_FILE=$file TIMBRE_LEASE_MINE=$mine
  (
    exec {TIMBRE_LOCK_FD}>&- # when we are killed, it must hold nobody up
    local with=()
    ! command -v setpriv >/dev/null || with=(setpriv --pdeathsig KILL --)
    # shellcheck disable=SC2016 # expanded by the bash that is started
    exec ${with[@]+"${with[@]}"} bash -c '. "$1" && heartbeat "${@:2}"' heartbeat \
      "${BASH_SOURCE[0]}" "$file" "$mine" "$every" $$
  ) </dev/null >/dev/null &
  TIMBRE_HEARTBEAT=$!
}

# lease_age FILE: seconds since its last renewal, by the clock of the file system that it is on.
lease_age() {
  local probe now renewed
  probe=$(dirname "$1")/.lease.part.$(uname -n).$$.0
  : >"$probe" && now=$(stat -c %Y "$probe") && renewed=$(stat -c %Y "$1") || return 1
  rm -f -- "$probe"
  echo $((now - renewed))
}

# heartbeat FILE MINE SECONDS DRIVER: renew the lease while DRIVER lives. A driver whose lease is another's by
# now (its machine was suspended) must not write on.
heartbeat() {
  while sleep "$3" 2>/dev/null && kill -0 "$4" 2>/dev/null; do
    if [[ $(cat "$1" 2>/dev/null) != "$2" ]]; then
      echo "the lease is lost: $(cat "$1" 2>/dev/null)" >&2
      kill -TERM "$4"
      return 0
    fi
    touch -c -- "$1"
  done
}

# release: the lease goes when the run ends, however it ends; one that another has by now stays.
release() {
  kill "$TIMBRE_HEARTBEAT" 2>/dev/null || true
  [[ $(cat "$TIMBRE_LEASE_FILE" 2>/dev/null) != "$TIMBRE_LEASE_MINE" ]] || rm -f -- "$TIMBRE_LEASE_FILE"
}

# sweep FOLDER: remove what writers of this host that are dead have left half-written (.NAME.part.HOST.PID.N).
sweep() {
  local part pid
  find "$1" -name ".*.part.$(uname -n).*" -prune -print0 | while IFS= read -r -d '' part; do
    pid=${part%.*} pid=${pid##*.}
    if living "$pid" && sleep 0.2 && living "$pid"; then continue; fi # a killed one may be about to go
    rm -rf -- "$part"
  done
}

# living PID: whether such a process runs. A dead one that nobody has collected yet answers signals, too.
living() {
  kill -0 "$1" 2>/dev/null && [[ ! -d /proc/$1 || $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [!ZX]* ]]
}

# die_with_me COMMAND ...: run it so that it is killed when this shell is, however that happens.
die_with_me() {
  if command -v setpriv >/dev/null; then
    setpriv --pdeathsig KILL -- "$@"
  else
    "$@"
  fi
}
