# shellcheck shell=bash disable=SC2034
# Trained on LibriSpeech, judged on egs/mini: what back ends do when the domain changes.
description="trained on LibriSpeech, judged there and on egs/mini: adaptation and AS-norm"
prepare=mini_librispeech
hours=1.9 speakers=327 licence="several, free" expected="see egs/mini_to_librispeech/README.md"
caution="Every LibriSpeech speaker has one session here, so same-speaker pairs share a recording: EERs there are optimistic."

train_set=librispeech-train dev_set=librispeech-dev eval_sets="librispeech-eval librispeech-test-other mini-eval"
adapt_sets=mini-train
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=librispeech models=ecapa256 train=librispeech backend=librispeech_to_mini
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
