# shellcheck shell=bash disable=SC2034
# VOiCES by itself: train on the owners' 200 training speakers, judge on their 100 test speakers.
description="VOiCES: read speech played in rooms with noise, heard far away; train and test speakers of the owners"
speakers=300 size="27.5 GB (devkit), 417.5 GB (release)" licence="CC BY 4.0"
expected="nobody has published EERs on these trials (the challenge's: voxceleb_to_voices)"
caution="A loudspeaker spoke: all rooms hear the same recordings of LibriSpeech. Two hundred training speakers are few."

train_set=train dev_set=dev eval_sets=eval
# recordings are wav of 16 kHz already
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam
# loud distractors hide speech from VAD
options="--audio.max_dropped 0.02 --vad.max_dropped 0.05"
