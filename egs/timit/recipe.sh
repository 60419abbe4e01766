# shellcheck shell=bash disable=SC2034
# TIMIT: the owners' TRAIN and TEST; all pairs of TEST's SX and SI sentences.
description="TIMIT: ten read sentences a speaker, one session; all pairs of its TEST part"
hours=5 speakers=630 licence="LDC93S1 (LDC's agreement)" expected="none known for these trials"
caution="All of a speaker was recorded at once, in one booth, by one microphone: these EERs are optimistic."

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=librispeech models=ecapa256 train=librispeech
# sentences last three seconds, some one
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
