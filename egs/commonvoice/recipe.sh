# shellcheck shell=bash disable=SC2034
# Common Voice: anybody's voice by anybody's microphone; speakers are client_ids, split as the owners did.
description="Common Voice, one language or several: validated clips by client, split as the owners did"
hours="any (25,886 validated in release 24)" speakers=any licence="CC0" expected="none known for these trials"
caution="A client_id is an account: one person may have several, several people one, so labels are not all right."

train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
# clips of silence and clips that cannot be read are part of it
options="--audio.max_dropped 0.05 --vad.max_dropped 0.05"
