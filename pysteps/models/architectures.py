"""What can be set about each encoder and each pooling. Imports no torch: the driver checks options with it.

An encoder or pooling is a row of ENCODERS or POOLINGS: its options, and the class that is built from them as
``module:Class`` in this room. Its file says what it is and whose; docs/models.md has them side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import yaml

from ..formats.errors import InputError
from .options_frames import (
    CamPlusOptions,
    ConformerOptions,
    Conv1dOptions,
    Conv2dOptions,
    DenseTdnnOptions,
    EcapaOptions,
    ExtendedTdnnOptions,
    FactorisedTdnnOptions,
    LstmOptions,
    ResidualTdnnOptions,
    TdnnOptions,
)
from .options_images import (
    CnnOptions,
    ERes2NetOptions,
    PreActResNetOptions,
    ReDimNetOptions,
    ResCnnOptions,
    ResNetOptions,
)
from .options_poolings import (
    AttentiveOptions,
    DictionaryOptions,
    GhostVladOptions,
    HeadsOptions,
    MeanCnnOptions,
    MultiQueryOptions,
    NetVladOptions,
    NoOptions,
    SegmentOptions,
)
from .options_ssl import SslOptions
from .registry import Registry


class Kind(NamedTuple):
    """Options of an encoder or pooling, where its class stands (``module:Class`` of this room) and the paper
    that describes it; none: the design is ours."""

    options: type
    place: str
    paper: str = ""


# Built as Class(options, feature_dim); has out_channels, trim, stride, min_frames (see model.py).
ENCODERS: Registry[Kind] = Registry(
    "encoder",
    {
        "aret": Kind(ResidualTdnnOptions, "aret:ResidualTdnnEncoder", "Zhang et al., Interspeech 2020"),
        "campplus": Kind(
            CamPlusOptions, "campplus:CamPlusEncoder", "Wang et al., Interspeech 2023, arXiv:2303.00332"
        ),
        "cnn": Kind(CnnOptions, "cnn:CnnEncoder"),
        "conformer": Kind(
            ConformerOptions,
            "conformer:ConformerEncoder",
            "Gulati et al., Interspeech 2020, arXiv:2005.08100",
        ),
        "conv1d": Kind(Conv1dOptions, "conv:Conv1dEncoder", "Snyder et al., ICASSP 2018"),
        "conv2d": Kind(Conv2dOptions, "conv:Conv2dEncoder", "Snyder et al., ICASSP 2018"),
        "dtdnn": Kind(DenseTdnnOptions, "dtdnn:DenseTdnnEncoder", "Yu and Li, Interspeech 2020"),
        "ecapa": Kind(
            EcapaOptions, "ecapa:EcapaEncoder", "Desplanques et al., Interspeech 2020, arXiv:2005.07143"
        ),
        "ecapa_mirror": Kind(
            EcapaOptions,
            "speechbrain:MirrorEcapaEncoder",
            "Desplanques et al., Interspeech 2020, arXiv:2005.07143",
        ),
        "eres2netv2": Kind(
            ERes2NetOptions, "eres2net:ERes2NetEncoder", "Chen et al., Interspeech 2024, arXiv:2406.02167"
        ),
        "identity": Kind(NoOptions, "meancnn:IdentityEncoder"),
        "etdnn": Kind(ExtendedTdnnOptions, "etdnn:ExtendedTdnnEncoder", "Snyder et al., ICASSP 2019"),
        "ftdnn": Kind(FactorisedTdnnOptions, "ftdnn:FactorisedTdnnEncoder", "Povey et al., Interspeech 2018"),
        "lstm": Kind(LstmOptions, "lstm:LstmEncoder", "Heigold et al., ICASSP 2016, arXiv:1509.08062"),
        "redimnet": Kind(
            ReDimNetOptions, "redimnet:ReDimNetEncoder", "Yakovlev et al., Interspeech 2024, arXiv:2407.18223"
        ),
        "rescnn": Kind(ResCnnOptions, "rescnn:ResCnnEncoder", "Li et al., 2017, arXiv:1705.02304"),
        "resnet": Kind(ResNetOptions, "resnet:ResNetEncoder", "He et al., CVPR 2016, arXiv:1512.03385"),
        "resnet_preact": Kind(
            PreActResNetOptions, "resnet_preact:PreActResNetEncoder", "He et al., ECCV 2016, arXiv:1603.05027"
        ),
        "ssl": Kind(SslOptions, "ssl:SslEncoder", "Yang et al., Interspeech 2021, arXiv:2105.01051"),
        "tdnn": Kind(TdnnOptions, "tdnn:TdnnEncoder", "Snyder et al., ICASSP 2018"),
        "tdnn_mirror": Kind(TdnnOptions, "speechbrain:MirrorTdnnEncoder", "Snyder et al., ICASSP 2018"),
    },
)
# Built as Class(options, channels); has out_dim.
POOLINGS: Registry[Kind] = Registry(
    "pooling",
    {
        "asp": Kind(
            AttentiveOptions,
            "pooling_attentive:PlainAttentivePooling",
            "Okabe et al., Interspeech 2018, arXiv:1803.10963",
        ),
        "astp": Kind(
            AttentiveOptions,
            "pooling:AttentiveStatisticsPooling",
            "Desplanques et al., Interspeech 2020, arXiv:2005.07143",
        ),
        "astp_normed": Kind(
            AttentiveOptions,
            "speechbrain:NormedAttentivePooling",
            "Desplanques et al., Interspeech 2020, arXiv:2005.07143",
        ),
        "average": Kind(NoOptions, "pooling:AveragePooling"),
        "channel_asp": Kind(
            AttentiveOptions, "pooling_channel:ChannelAttentivePooling", "Heo et al., 2020, arXiv:2009.14153"
        ),
        "ghostvlad": Kind(
            GhostVladOptions,
            "pooling_dictionary:GhostVladPooling",
            "Zhong et al., ACCV 2018, arXiv:1810.09951; Xie et al., ICASSP 2019, arXiv:1902.10107",
        ),
        "last": Kind(NoOptions, "lstm:LastFramePooling", "Heigold et al., ICASSP 2016, arXiv:1509.08062"),
        "lde": Kind(
            DictionaryOptions,
            "pooling_dictionary:DictionaryPooling",
            "Cai et al., ICASSP 2018, arXiv:1804.00385",
        ),
        "mean_cnn": Kind(MeanCnnOptions, "meancnn:MeanCnnPooling"),
        "mha": Kind(
            HeadsOptions,
            "pooling_attentive:MultiHeadPooling",
            "India et al., Interspeech 2019, arXiv:1906.09890",
        ),
        "mqmha": Kind(
            MultiQueryOptions, "pooling_attentive:MultiQueryPooling", "Zhao et al., 2021, arXiv:2110.05042"
        ),
        "netvlad": Kind(
            NetVladOptions, "pooling_dictionary:GhostVladPooling", "Xie et al., ICASSP 2019, arXiv:1902.10107"
        ),
        "sample_stats": Kind(
            NoOptions, "pooling_sample:SampleStatisticsPooling", "Snyder et al., ICASSP 2018"
        ),
        "segment_stats": Kind(
            SegmentOptions, "pooling_sample:SegmentStatisticsPooling", "Snyder et al., ICASSP 2018"
        ),
        "sap": Kind(
            AttentiveOptions,
            "pooling_attentive:SelfAttentivePooling",
            "Cai et al., Odyssey 2018, arXiv:1804.05160",
        ),
        "stats": Kind(NoOptions, "pooling:StatisticsPooling", "Snyder et al., Interspeech 2017"),
    },
)


def filled(registry: Registry[Kind], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with the defaults of the rest; InputError for what ``name`` does not have or cannot be."""
    kind = registry[name]
    known = {field.name: str(field.type) for field in fields(kind.options)}
    given = {key: _several(value, known.get(key, "")) for key, value in given.items()}
    for key, value in given.items():
        if key not in known:
            said = ", ".join(known) or "none"
            raise InputError(f"{registry.kind} {name} has no option {key}", mend=f"its options: {said}")
        if not _fits(value, known[key]):
            said = f"{registry.kind} {name}: {key} is {value!r}"
            raise InputError(said, mend=f"it is of type {known[key]}")
    options = kind.options(**given)
    for field in fields(kind.options):
        value, least = getattr(options, field.name), field.metadata.get("least", 1)
        if type(value) is int and value < least:
            raise InputError(f"{registry.kind} {name}: {field.name} is {value}", mend=f"at least {least}")
    return asdict(options)


def _several(value: object, kind: str) -> object:
    # On the command line a list needs no brackets: --models.network.blocks 3,4,6,3, or 3 alone.
    if not kind.startswith("list[") or not isinstance(value, (str, int, float)):
        return value
    if isinstance(value, str) and not value.startswith(("[", "(")):
        try:
            return yaml.safe_load(f"[{value}]")
        except yaml.YAMLError:
            return value
    return value if isinstance(value, str) else [value]


def _fits(value: object, kind: str) -> bool:
    if kind.startswith("list["):
        return isinstance(value, (list, tuple)) and all(_fits(one, kind[5:-1]) for one in value)
    if kind.startswith("dict"):
        return isinstance(value, dict)
    types: dict[str, Any] = {"float": (int, float), "int": int, "bool": bool, "str": str}
    return isinstance(value, types[kind]) and (kind == "bool" or not isinstance(value, bool))
