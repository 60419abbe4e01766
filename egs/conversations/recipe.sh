# shellcheck shell=bash disable=SC2034
# Diarization in small: egs/mini, and conversations made of its voices for stage diarize.
description="egs/mini, and who speaks when in made-up conversations of its dev and eval speakers"
corpus=egs/mini/corpus prepare=conversations
hours=1.6 speakers=66 licence="several, free" expected="see egs/conversations/README.md"
caution="Speakers are few and have one session each, and packages differ in channel. Conversations are made of single sentences, without overlap."

train_set=train dev_set=dev eval_sets=eval
diarize_dev_set=dev-conversations diarize_sets=eval-conversations
audio=16k vad=webrtc augment=musan_speed features=fbank64_5k
egs=mini models=ecapa256 train=mini backend=mini diarize=ahc
options="--audio.shard_utterances 100 --features.shard_utterances 200 --vad.shard_utterances 200 --diarize.collar 0.25"
