# shellcheck shell=bash disable=SC2034
# LibriSpeech, one utterance a speaker of train-clean-100, cut to pieces of 3 to 4 s by segments.
description="train-clean-100 and test-other, cut to pieces of 3-4 s"
hours=1.1 speakers=261 licence="CC BY 4.0" expected="see egs/librispeech/README.md"
caution="Every speaker has one session here, so same-speaker pairs share a recording: these EERs are optimistic."

train_set=train dev_set=dev eval_sets="eval test-other"
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=librispeech models=ecapa256 train=librispeech
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
