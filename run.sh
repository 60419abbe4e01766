#!/usr/bin/env bash
# From a raw corpus to EER and a report, in stages. ./run.sh --help says the options.
set -euo pipefail
export TIMBRE_CALLER=$PWD TIMBRE_DRIVER_PID=$$ # relative paths are the caller's; jobs end with this process
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./path.sh
. steps/lock.sh

# stage NAME: run steps/NAME.sh if it is among the chosen ones and not fresh, and note its seconds.
started='' ended=''
stage() {
  [[ $1 != "$first" ]] || started=1
  [[ -n $started && -z $ended ]] || return 0
  [[ $1 != "$last" ]] || ended=1
  if [[ " $fresh " == *" $1 "* ]]; then
    echo "$1: fresh"
    return 0
  fi
  echo "$1: $(date +%H:%M:%S)"
  local began=$EPOCHREALTIME
  attend --bound "steps/$1.sh" --run "$run" --cmd "$cmd" --nj "$nj" --ngpu "$ngpu" --nodes "$nodes" \
    ${force:+--force} ${ignore:+--ignore-disk}
  local seconds=${run%/*}/seconds part
  part=$seconds/.$1.part.$(uname -n).$$.0 # stage score reads the others, whole or not at all
  mkdir -p "$seconds"
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", b - a }' >"$part"
  mv -f -- "$part" "$seconds/$1"
}

main() { # a function, so that bash has read all of it before anything runs
  local settings run='' resolved='' work='' cmd='' nj='' ngpu='' nodes='' first='' last='' fresh='' force=''
  local ignore='' scratch='' clean='' restore='' next='' keep='' again=()
  patient
  exec 4>&1
  settings=$(python -m pysteps.recipe "$@" 3>&1 >&4) # text for people passes by on descriptor 4
  exec 4>&-
  [[ -n $settings ]] || return 0 # --help, --status, --dry-run, --recipes
  eval "$settings"

  lock "$work" # one run a work folder; jobs inherit the lock
  # What a killed run left queued goes, but for the jobs of the stage that begins now, if nothing has changed.
  [[ $cmd != slurm || -n $force$clean ]] || ! cmp -s "$resolved" "$run" || keep=${run%/*}/log/.slurm/$next
  left_over "$work" "$keep"
  sweep "$work" "$keep"
  if [[ -n $clean ]]; then
    python -m pysteps.recipe.clean "$resolved" "$clean" ${force:+--force} && rm -f -- "$resolved"
    return
  fi
  mv -f -- "$resolved" "$run"
  [[ -z $restore ]] || mapfile -t again <<<"$restore" # a line each: names may have blanks
  ((${#again[@]} == 0)) || python -m pysteps.recipe.clean "$run" --restore "${again[@]}"
  export TIMBRE_SCRATCH=$scratch

  stage prepare  # 0  a raw corpus           -> data/SET/{wav.scp,utt2spk,...,trials}
  stage audio    # 1  wav.scp                -> one sample rate, utterances cut, utt2dur
  stage vad      # 2  audio                  -> vad.scp, utt2voiced
  stage augment  # 3  the training set       -> copies with noise, music, babble, rooms, other speeds
  stage features # 4  audio, vad             -> feats.scp, cmvn.scp, contract.json
  stage egs      # 5  features               -> shuffled chunks of random length
  stage train    # 6  egs                    -> checkpoints, averaged model, curves
  stage extract  # 7  features, model        -> xvector.scp, spk_xvector.scp
  stage backend  # 8  x-vectors              -> centring, LDA, length norm, PLDA
  stage score    # 9  x-vectors, trials      -> scores, EER, minDCF, DET, report.html
  stage diarize  # 10 whole recordings       -> RTTM, DER, JER (recipes with diarize_sets)
  stage tune     # beside  egs, dev features -> the best of many trainings (--stage tune --space FILE)

  [[ $last != tune ]] || python -m pysteps.recipe.tuned "$run"
  [[ $last != score && ($last != diarize || $first == diarize) ]] || python -m pysteps.score summary --run "$run"
  [[ $last != diarize ]] || python -m pysteps.diarize summary --run "$run"
}

main "$@"
exit
