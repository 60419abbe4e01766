# shellcheck shell=bash disable=SC2034
# Another domain: trained on VoxCeleb2, judged on CN-Celeb's evaluation set, back ends adapted to CN-Celeb1.
description="trained on VoxCeleb2, judged on CN-Celeb: another language, other genres; PLDA adapted without labels"
hours=2714 speakers=6991 size="VoxCeleb2 and 22 GB" licence="CC BY 4.0; CC BY-SA 4.0"
expected="nobody has published this very set-up"
caution="CN-Celeb's trials cross genres, and training heard another language: this measures back ends under a change of domain."

train_set=train dev_set=dev eval_sets=cnceleb-eval
adapt_sets=cnceleb-dev
audio=changed vad=webrtc augment=live features=fbank80
egs=audio models=ecapa512 train=aam backend=voxceleb_to_cnceleb
# songs, plays and utterances of a second: VAD finds no speech in some
options="--audio.max_dropped 0.02 --vad.max_dropped 0.05"
