# shellcheck shell=bash disable=SC2034
# The embedded corpus: real voices in the repository, from audio to EER in a quarter of an hour.
description="real voices shipped with the code; what ./run.sh runs"
corpus=egs/mini/corpus
hours=0.8 speakers=66 licence="several, free" expected="see egs/mini/README.md"
caution="Speakers are few and have one session each, and packages differ in channel: trust the lists within a package, and read the intervals."

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=musan_speed features=fbank64_5k
egs=mini models=ecapa256 train=mini backend=mini
options="--audio.shard_utterances 100 --features.shard_utterances 200 --vad.shard_utterances 200"
