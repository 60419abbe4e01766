# shellcheck shell=bash disable=SC2034
# VCTK: 110 speakers of English accents in one studio; who is held out is drawn.
description="VCTK 0.92: 110 speakers of many accents read about 400 sentences each in one studio"
hours=44 speakers=110 licence="CC BY 4.0" expected="none known for these trials" size="12 GB packed"
caution="Few speakers, one session each, one studio: EERs are optimistic and their intervals wide."

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=default models=ecapa256 train=librispeech
# sentences last three seconds, some one
options="--audio.max_dropped 0.02 --vad.max_dropped 0.02"
