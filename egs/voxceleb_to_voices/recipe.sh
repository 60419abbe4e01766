# shellcheck shell=bash disable=SC2034
# Trained on both VoxCelebs, judged on dev and eval of the VOiCES challenge of 2019: far away, in noise.
description="both VoxCelebs, judged on the VOiCES from a Distance Challenge 2019: rooms and distractors"
hours=2712 size="108 GB, and 19.5 GB of VOiCES" licence="CC BY 4.0"
expected="EER 4.12 % on voices-eval, 1.09 on voices-dev (hyperion, ResNet34 and PLDA)"
caution="Speakers of the challenge read LibriSpeech: add none of it to the training set. A loudspeaker spoke, people did not."

train_set=train dev_set=dev eval_sets="voices-dev voices-eval"
# VOiCES holds pauses, so training hears speech as VAD leaves it
audio=changed vad=webrtc augment=voxceleb features=fbank80
egs=voxceleb models=ecapa512 train=voxceleb
# loud distractors hide speech from VAD
options="--vad.max_dropped 0.05"
