# shellcheck shell=bash
# Sourced by run.sh, tests/run.sh and every step: finds or makes the Python environment, sets what every
# process shares. Order: $PYTHON (used as it is), an active virtual environment, .venv beside this file.
# What is installed is what requirements.txt says; nothing is done again until that file changes.
#
#   PYTHON               this interpreter, already provided with what requirements.txt lists
#   TIMBRE_THREADS       threads of one process (default 1): results are the same bytes only for the same number

_timbre_say() { printf 'path.sh: %s\n' "$*" >&2; }

_timbre_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The interpreter that a new .venv is made from, in $base.
_timbre_base() {
  local name found=''
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    base=$(command -v "$name") || continue
    found+=" $name is $("$base" -c 'import platform; print(platform.python_version())' 2>&1 | tail -n 1);"
    _timbre_new_enough "$base" || continue
    if ! "$base" -c 'import venv, ensurepip' 2>/dev/null; then
      name=python$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
      _timbre_say "$base cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv (or $name-venv)"
      return 1
    fi
    return 0
  done
  _timbre_say "Python 3.11 or newer is needed;${found:- there is none here;} on Debian and Ubuntu: apt-get install python3 python3-venv python3-pip (Debian 12, Ubuntu 24.04 or newer), or name one with PYTHON=/path/to/python"
  return 1
}

# Whether the stamp in folder $1 says: made here, for these requirements. Costs no process.
_timbre_fresh() {
  [[ -x $1/bin/python && -f $1/.timbre && $(<"$1/.timbre") == "$1"$'\n'"$(<"$TIMBRE_ROOT/requirements.txt")" ]]
}

# Install into the virtual environment $1 (made first if it is ours, $2), one process at a time.
_timbre_install() {
  local venv=$1 ours=$2 lock base quiet=() began=$SECONDS
  mkdir -p "$venv" || return 1
  exec {lock}>>"$venv/.timbre.lock" || return 1
  if command -v flock >/dev/null && ! flock --nonblock "$lock"; then
    _timbre_say "another process is installing into $venv: waiting for it"
    flock "$lock" || return 1
  fi
  if ! _timbre_fresh "$venv"; then
    # Moved, interrupted or without its interpreter: begin anew (scripts in bin/ name the place they were made for).
    if [[ $ours && (-e $venv/.timbre.begun || ! -x $venv/bin/python || (-f $venv/.timbre && $(head -n 1 "$venv/.timbre") != "$venv")) ]]; then
      _timbre_base || return 1
      _timbre_say "making $venv with $base"
      find "$venv" -mindepth 1 -maxdepth 1 ! -name .timbre.lock -exec rm -rf {} + || return 1
      : >"$venv/.timbre.begun"
      "$base" -m venv "$venv" >&2 || return 1
    fi
    [[ -t 2 ]] || quiet=(--quiet --progress-bar off)
    _timbre_say "installing requirements.txt into $venv (half a minute with a near mirror, once)"
    : >"$venv/.timbre.begun"
    rm -f "$venv/.timbre"
    "$venv/bin/python" -m pip install --no-compile --disable-pip-version-check --no-input \
      ${quiet[@]+"${quiet[@]}"} -r "$TIMBRE_ROOT/requirements.txt" >&2 || {
      _timbre_say "the installation failed; mend what it says above and start again"
      return 1
    }
    printf '%s\n%s\n' "$venv" "$(<"$TIMBRE_ROOT/requirements.txt")" >"$venv/.timbre.new" || return 1
    rm -f "$venv/.timbre.begun"
    mv "$venv/.timbre.new" "$venv/.timbre" || return 1
    _timbre_say "done after $((SECONDS - began)) s"
  fi
  exec {lock}>&-
}

# Whether the interpreter $1 has what requirements.txt names, down to its part for tests and lint.
_timbre_check() {
  _timbre_new_enough "$1" || {
    _timbre_say "PYTHON=$1 is not Python 3.11 or newer"
    return 1
  }
  local missing
  missing=$("$1" - "$TIMBRE_ROOT/requirements.txt" <<'CHECK'
import importlib.metadata, re, sys
with open(sys.argv[1], encoding="utf-8") as handle:
    needed = handle.read().partition("# tests and lint")[0]
names = re.findall(r"^[A-Za-z0-9][\w.-]*", needed, re.MULTILINE)
installed = {re.sub(r"[-_.]+", "-", d.metadata["Name"] or "").lower() for d in importlib.metadata.distributions()}
print(*(name for name in names if re.sub(r"[-_.]+", "-", name).lower() not in installed))
CHECK
  ) || return 1
  if [[ -n $missing ]]; then
    _timbre_say "PYTHON=$1 lacks $missing; install them ('$1' -m pip install -r requirements.txt) or unset PYTHON, and .venv is made"
    return 1
  fi
  _timbre_say "using PYTHON=$1 as it is"
}

# Programs named `python` and `python3` that are the interpreter $1, in a folder whose name goes to $bin.
_timbre_named_python() {
  bin=$(cd "$(dirname "$1")" && pwd) || return 1
  [[ $bin/python -ef $1 && $bin/python3 -ef $1 ]] && return 0
  bin=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/timbre/bash-python-$(printf %s "$1" | cksum | cut -d ' ' -f 1)
  [[ -x $bin/python && -x $bin/python3 ]] && return 0
  mkdir -p "$bin" || return 1
  local name
  for name in python python3; do
    printf '#!/usr/bin/env bash\nexec %q "$@"\n' "$1" >"$bin/$name.$$" && chmod +x "$bin/$name.$$" && mv "$bin/$name.$$" "$bin/$name" || return 1
  done
}

_timbre_path() {
  TIMBRE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P) || return 1
  local bin venv ours=''
  if [[ -n ${PYTHON:-} ]]; then
    local python
    python=$(command -v "$PYTHON") || {
      _timbre_say "PYTHON=$PYTHON: there is no such program"
      return 1
    }
    python=$(cd "$(dirname "$python")" && pwd)/${python##*/} || return 1
    _timbre_named_python "$python" || return 1
    if [[ ${TIMBRE_PYTHON_SEEN:-} != "$python" ]]; then # once a run, not once a step
      _timbre_check "$python" || return 1
      export TIMBRE_PYTHON_SEEN=$python
    fi
  else
    venv=${VIRTUAL_ENV:-}
    if [[ -n $venv && ! -x $venv/bin/python ]]; then
      _timbre_say "the active virtual environment $venv has no bin/python: using .venv instead"
      venv=''
    fi
    if [[ -z $venv || $venv -ef $TIMBRE_ROOT/.venv ]]; then
      venv=$TIMBRE_ROOT/.venv ours=1
      [[ ! -L $venv ]] || { venv=$(cd "$venv" && pwd -P) && ours=''; } || return 1 # somebody else's, lent to this checkout
    fi
    if ! _timbre_fresh "$venv"; then
      if [[ $ours || -w $venv ]]; then
        _timbre_install "$venv" "$ours" || return 1
      elif [[ ${TIMBRE_PYTHON_SEEN:-} != "$venv" ]]; then
        _timbre_say "using $venv as it is: it cannot be written to"
        export TIMBRE_PYTHON_SEEN=$venv
      fi
    fi
    bin=$venv/bin
    export VIRTUAL_ENV=$venv
  fi
  [[ ${PATH%%:*} == "$bin" ]] || PATH=$bin:$PATH
  [[ ${PYTHONPATH:-} == "$TIMBRE_ROOT" || ${PYTHONPATH:-} == "$TIMBRE_ROOT":* ]] || PYTHONPATH=$TIMBRE_ROOT${PYTHONPATH:+:$PYTHONPATH}
  export TIMBRE_ROOT PATH PYTHONPATH
  export LC_ALL=C PYTHONUTF8=1 # C order of tables; and file names are UTF-8 all the same
  export OMP_WAIT_POLICY=PASSIVE # threads that wait by spinning make two programs on one core ten times as slow
  export OMP_NUM_THREADS=${TIMBRE_THREADS:-1} MKL_NUM_THREADS=${TIMBRE_THREADS:-1} OPENBLAS_NUM_THREADS=${TIMBRE_THREADS:-1}
}

_timbre_path || return 1
