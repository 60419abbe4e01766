#!/usr/bin/env bash
# Stage 4, features: fbank or MFCC, CMVN statistics, the feature contract.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out features --mem 4; exit
