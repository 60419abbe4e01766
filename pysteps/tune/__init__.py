"""Hyper-parameter search: trainings with drawn options, the unpromising ones ended early."""
