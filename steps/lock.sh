# shellcheck shell=bash
# Sourced by run.sh: one run a work folder, and children that do not outlive the driver.

# lock FOLDER: hold FOLDER/.lock. Jobs inherit the descriptor, so what a killed driver left running still
# holds it, and the restart waits until that has ended.
lock() {
  mkdir -p "$1"
  exec {TIMBRE_LOCK_FD}>>"$1/.lock"
  export TIMBRE_LOCK_FD
  if ! flock --nonblock "$TIMBRE_LOCK_FD"; then
    local host pid
    read -r host pid <"$1/.lock.holder" || true
    if [[ ${host:-} == "$(uname -n)" ]] && ! kill -0 "${pid:-0}" 2>/dev/null; then
      echo "$1: waiting for jobs that an earlier run (process $pid, gone) left running"
      flock --timeout 600 "$TIMBRE_LOCK_FD" || { echo "error: $1/.lock is still held (see: fuser '$1/.lock')" >&2 && exit 1; }
    else
      echo "error: $1 is in use by process ${pid:-?} on ${host:-?} (wait for it, or name another folder with --work)" >&2
      exit 1
    fi
  fi
  echo "$(uname -n) $$" >"$1/.lock.holder"
  sweep "$1"
}

# sweep FOLDER: remove what writers of this host that are dead have left half-written (.NAME.part.HOST.PID.N).
sweep() {
  local part pid
  find "$1" -name ".*.part.$(uname -n).*" -prune -print0 | while IFS= read -r -d '' part; do
    pid=${part%.*}
    kill -0 "${pid##*.}" 2>/dev/null || rm -rf -- "$part"
  done
}

# die_with_me COMMAND ...: run it so that it is killed when this shell is, however that happens.
die_with_me() {
  if command -v setpriv >/dev/null; then
    setpriv --pdeathsig KILL -- "$@"
  else
    "$@"
  fi
}
