# shellcheck shell=bash disable=SC2034
# Trained on both VoxCelebs without the speakers that SITW shares, judged on SITW's dev and eval.
description="both VoxCelebs without SITW's speakers, judged on SITW's dev and eval: another domain, PLDA"
hours=2712 speakers=7484 size="108 GB and SITW" licence="CC BY 4.0; SITW research only (SRI)"
expected="EER 3.50 % on sitw-eval.core-core, 3.00 on sitw-dev's (Kaldi's egs/sitw/v2, x-vectors and PLDA)"
caution="Multi tests hold several people and are taken as one: their error rates are what that costs, too."

train_set=train dev_set=dev eval_sets="sitw-dev sitw-eval"
# SITW's recordings hold pauses, so training hears speech as VAD leaves it
audio=changed vad=webrtc augment=voxceleb features=fbank80
egs=voxceleb models=ecapa512 train=voxceleb backend=sitw
