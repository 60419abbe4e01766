# shellcheck shell=bash disable=SC2034
# VoxCeleb2's dev for training, VoxCeleb1's lists O, E and H for evaluation: what most papers report.
description="VoxCeleb2's dev, judged on VoxCeleb1-O, E and H"
hours=2712 speakers=7245 size="108 GB" licence="CC BY 4.0"
expected="EER 1.07, 1.21, 2.31 % on O, E, H cleaned (WeSpeaker, ECAPA-TDNN of 512 channels, cosine)"

train_set=train dev_set=dev eval_sets=vox1
# recordings are cut to speech already; what is a wav of 16 kHz stays where it is
audio=changed vad=none augment=voxceleb features=fbank80
egs=voxceleb models=ecapa512 train=voxceleb
