# shellcheck shell=bash disable=SC2034
# LibriSpeech, whole: all that is there of the 960 h, judged on test-clean and test-other by generated trials.
description="LibriSpeech as its owners ship it: trained on 960 h, judged on test-clean and test-other"
hours=982 speakers=2484 licence="CC BY 4.0" expected="none known for these trials" size="61 GB packed"
caution="Trials are generated; a speaker's chapters are mostly of one book, room and microphone, so EERs are optimistic."

train_set=train dev_set=dev eval_sets="test-clean test-other"
audio=16k vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
