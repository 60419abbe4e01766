# shellcheck shell=bash disable=SC2034
# The dev parts of both VoxCelebs for training, VoxCeleb1's list O for evaluation.
description="VoxCeleb1's and VoxCeleb2's dev, judged on VoxCeleb1-O"
hours=2712 speakers=7245 size="108 GB" licence="CC BY 4.0"
expected="EER 0.856 % on O (ESPnet's egs2/voxceleb/spk1, ECAPA-TDNN)"

train_set=train dev_set=dev eval_sets=vox1
# recordings are cut to speech already; what is a wav of 16 kHz stays where it is
audio=changed vad=none augment=voxceleb features=fbank80
egs=voxceleb models=ecapa1024 train=voxceleb
