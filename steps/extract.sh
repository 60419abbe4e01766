#!/usr/bin/env bash
# Stage 7, extract: x-vectors of whole utterances and of speakers.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

((ngpu)) || export CUDA_VISIBLE_DEVICES='' # none asked for, none used
fan_out extract --mem 4 --gpu "$((ngpu > 0))"; exit
