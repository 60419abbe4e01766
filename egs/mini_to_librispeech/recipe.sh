# shellcheck shell=bash disable=SC2034
# Trained on egs/mini, judged on LibriSpeech: what back ends do when the domain changes.
description="trained on egs/mini, judged there and on LibriSpeech: adaptation and AS-norm"
prepare=mini_librispeech
hours=1.9 speakers=327 licence="several, free" expected="see egs/mini_to_librispeech/README.md"
caution="Every LibriSpeech speaker has one session here, so same-speaker pairs share a recording: EERs there are optimistic."

train_set=mini-train dev_set=mini-dev eval_sets="mini-eval librispeech-eval librispeech-test-other"
adapt_sets=librispeech-train
audio=16k vad=webrtc augment=musan_speed features=fbank64_5k
egs=mini models=ecapa256 train=mini backend=mini_to_librispeech
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
