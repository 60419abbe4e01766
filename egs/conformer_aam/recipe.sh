# shellcheck shell=bash disable=SC2034
# egs/librispeech with a small Conformer and AAM, to be tuned: --stage tune --space conf/tune/conformer.yaml.
description="egs/librispeech with a Conformer and AAM, its sizes and the loss's to be searched"
prepare=librispeech
hours=1.1 speakers=261 licence="CC BY 4.0" expected="see egs/conformer_aam/README.md"
caution="Every speaker has one session here, so same-speaker pairs share a recording: these EERs are optimistic."

train_set=train dev_set=dev eval_sets="eval test-other"
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=librispeech models=conformer_aam train=conformer_aam
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
