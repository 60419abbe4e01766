# shellcheck shell=bash disable=SC2034
# Speakers in the Wild by itself: a network of its development speakers, judged on its evaluation lists.
description="Speakers in the Wild: its dev speakers, judged on its eval (core and assist, core and multi)"
speakers=299 licence="research only (SRI)" expected="none published for so small a training set"
caution="The network has heard about a hundred speakers: these error rates say how hard SITW is for it, not what can be had. Train on VoxCeleb (voxceleb_to_sitw) for that. Multi tests hold several people and are taken as one."

train_set=train dev_set=dev eval_sets=sitw-eval
audio=changed vad=webrtc augment=musan_speed features=fbank80
egs=default models=ecapa256 train=librispeech
