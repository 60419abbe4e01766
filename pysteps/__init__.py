"""Timbre: a staged speaker-recognition pipeline; one package a stage, named as in run.sh."""
