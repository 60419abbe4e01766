# shellcheck shell=bash disable=SC2034
# VoxCeleb1 alone: its dev for training, its list O for evaluation.
description="VoxCeleb1's dev, judged on VoxCeleb1-O"
hours=352 speakers=1251 size="34 GB" licence="CC BY 4.0"
expected="EER 7.8 % on O original (Nagrani et al. 2017, VGG-M; newer networks are far better)"

train_set=train dev_set=dev eval_sets=vox1
# recordings are cut to speech already, and wavs of 16 kHz: they stay where they are
audio=changed vad=none augment=voxceleb features=fbank80
egs=voxceleb models=ecapa512 train=voxceleb
