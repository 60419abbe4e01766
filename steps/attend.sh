# shellcheck shell=bash
# Sourced by lock.sh and step.sh: commands that hear of signals, and are waited for.
# bash itself hears nothing while a command runs in its foreground, and dies of SIGTERM before that has ended.

# patient: what runs in the foreground ends before a SIGTERM or SIGHUP takes effect.
patient() {
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  trap - INT
}

# attend [--bound] COMMAND ...: run it; SIGINT, SIGTERM and SIGHUP go on to it, and it is waited for. Its exit
# status; but this shell ends by the signal that came. --bound: it is killed when this shell is, in any way.
attend() {
  local bound='' child='' told='' heard='' code signal self=$BASHPID # the child's words are the child's to expand
  [[ $1 != --bound ]] || { bound=$1 && shift; }
  for signal in INT TERM HUP; do
    # shellcheck disable=SC2064 # the signal's name of now
    trap "told=\${told:-$signal} heard=1 && pass $signal" "$signal"
  done
  python3 -IS "${TIMBRE_ROOT:?}/steps/child.py" ${bound:+"$bound"} "$self" "$@" <&0 &
  child=$!
  [[ -z $told ]] || pass "$told"
  while heard='' code=0; do
    wait "$child" || code=$?
    [[ -n $heard ]] || break
  done
  patient
  [[ -n $told ]] || return "$code"
  kill -s "$told" "$self" # as patient says; of SIGINT itself, so that whoever called us knows
}

# pass SIGNAL: to the child of attend. One that has only begun ignores SIGINT, so SIGTERM comes behind it.
pass() {
  [[ -z $child ]] || kill -s "$1" "$child" 2>/dev/null || true
  [[ -z $child ]] || kill -s TERM "$child" 2>/dev/null || true
}
