# shellcheck shell=bash disable=SC2034
# CHiME-5: train on what people wore at 16 parties, judge on what was worn and what arrays heard at two others.
description="dinner parties: worn microphones, and arrays across the room"
hours=50 speakers=48 licence="by agreement with the owners (University of Sheffield)"
expected="none published: the corpus is for speech recognition"
caution="Everybody keeps to one party and wears his own microphones: in eval a pair of one person shares them, so read trials.party and eval-far. Eval has 8 people: read the intervals."

train_set=train dev_set=dev eval_sets="eval eval-far"
audio=16k vad=webrtc augment=musan_speed features=fbank80
egs=chime5 models=ecapa256 train=librispeech
# people turn away, move and eat: some utterances hold little that VAD takes for speech
options="--audio.max_dropped 0.02 --vad.max_dropped 0.05"
