"""What can be set about a network (conf/models/NAME.yaml). Imports no torch: the driver reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ModelOptions:
    """Architecture of one network.

    A key that a network does not know is left unread by it: the TDNN has no ``se_channels``.
    """

    encoder: str = "ecapa"
    """frames to frames: ecapa or tdnn"""
    pooling: str = "astp"
    """frames to one vector: astp (attentive statistics, channel context) or stats"""
    channels: int = 512
    """width of the encoder's layers"""
    frame_channels: int = 1536
    """width of the frames that are pooled"""
    scale: int = 8
    """ECAPA: number of groups in a Res2 layer; divides channels"""
    se_channels: int = 128
    """ECAPA: bottleneck of squeeze and excitation"""
    attention_channels: int = 128
    """astp: bottleneck of the attention"""
    pooled_norm: bool = True
    """batch normalisation of the pooled vector, before the projector's linear layer"""
    xvector_norm: bool = True
    """batch normalisation of the x-vector, after the projector's linear layer"""
    xvector_dim: int = 192
    """size of the x-vector"""
    feature_dim: int = 80
    """size of one frame of features; filled from the feature contract"""
