# shellcheck shell=bash disable=SC2034
# The gender of a voice, learned on a piece of LibriSpeech: minutes on one core.
description="251 voices of train-clean-100: male or female, told for other voices and for test-other"
hours=1.1 speakers=261 licence="CC BY 4.0" expected="see egs/librispeech_gender/README.md"
caution="Genders are the two that the corpus lists; nothing is known of voices that are neither."

prepare=librispeech labels=spk2gender
train_set=train dev_set=dev eval_sets="eval test-other"
audio=16k vad=webrtc augment=musan features=fbank80
egs=librispeech models=ecapa256 train=gender backend=gender
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
