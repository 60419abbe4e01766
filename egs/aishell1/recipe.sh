# shellcheck shell=bash disable=SC2034
# AISHELL-1: read Mandarin; models of three utterances against the rest of the owners' test set, as in Kaldi.
description="read Mandarin in a quiet room: the owners' sets; models of three utterances"
hours=170 speakers=400 size="16 GB" licence="Apache 2.0"
expected="EER 0.14 % (Kaldi's egs/aishell/v1, i-vectors and PLDA, its own draw of models)"
caution="A speaker has one session, one room and one microphone, and there are 20 test speakers: EERs are far too good."

train_set=train dev_set=dev eval_sets=eval
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
options="--vad.max_dropped 0.02"
