# shellcheck shell=bash disable=SC2034
# Diarization in small: conversations made of egs/mini's voices. See README.md for what follows stage 4.
description="made-up conversations of egs/mini's dev and eval speakers, for diarization (stages 0 to 4)"
corpus=egs/mini/corpus prepare=conversations
hours=0.8 speakers=66 licence="several, free" expected="see egs/conversations/README.md"
caution="Conversations are made of single sentences, without overlap, and a speaker has one session."

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=none features=fbank64_5k
models=ecapa256
options="--audio.shard_utterances 200 --features.shard_utterances 200 --vad.shard_utterances 200"
