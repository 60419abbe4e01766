# shellcheck shell=bash disable=SC2034
# A corpus of your own: ./run.sh --recipe folder --corpus FOLDER, one folder a speaker below it.
description="a corpus of your own, one folder a speaker (docs/own-corpus.md)"
hours=any speakers="6 and more" licence="yours" expected="depends"

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=mini models=ecapa256 train=mini backend=any
