# shellcheck shell=bash disable=SC2034
# Videos by topic: windows of a video against windows of others; utt2topic for classification.
description="YouTube videos of four topics, cut into windows: which windows are of one video"
hours=any speakers="about 3,600 videos, about half still there" licence="each video's own" expected="none known for these trials"
caution="A speaker is a video here: its voices, music, noise and codec. Nothing says who speaks."

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=librispeech
# windows without a voice are many: landscapes, cooking, music
options="--audio.max_dropped 0.05 --vad.max_dropped 0.3"
