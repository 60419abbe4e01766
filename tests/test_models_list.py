"""The list of networks: counts and work against published figures and by hand, table and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pysteps.models.list_command import main
from pysteps.models.options import ModelOptions
from pysteps.models.zoo import describe, macs, without_memory
from tests.zoo import CONF


@pytest.mark.parametrize(
    ("name", "count", "billions", "shortest"),
    [
        # MACs of two seconds in WeSpeaker's examples/voxceleb/v2/README.md: 0.53, 4.55 and 2.65, where the
        # attention multiplies the utterance's mean and deviation by its weights in every frame.
        ("tdnn", 4_354_964, 0.53, 15),
        ("resnet34", 6_634_336, 4.55, 9),
        ("ecapa1024", 14_657_472, 2.65, 9),
    ],
)
def test_sizes_of_the_list_are_the_published_ones(
    name: str, count: int, billions: float, shortest: int
) -> None:
    entry = describe(CONF / f"{name}.yaml")
    assert (entry.parameters, entry.shortest_input) == (count, shortest)
    assert entry.macs == pytest.approx(billions * 1e9, rel=0.035)


def test_macs_by_hand() -> None:
    options = ModelOptions(
        encoder="conv1d",
        network={"channels": [6, 4], "kernels": [3, 1], "dilations": [1, 1]},
        pooling="stats",
        xvector_dim=5,
        feature_dim=7,
    )
    # A frame: 3 x 7 x 6 and 6 x 4; then 8 numbers to 5.
    assert macs(without_memory(options), 50) == 50 * (126 + 24) + 40


def test_macs_of_a_recurrent_network_by_hand() -> None:
    options = ModelOptions(
        encoder="lstm",
        network={"hidden": 6, "layers": 1, "projection": 0},
        pooling="last",
        pool={},
        xvector_dim=5,
        feature_dim=7,
    )
    assert macs(without_memory(options), 50) == 50 * 4 * 6 * (7 + 6) + 6 * 5


def test_the_list_is_a_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("tdnn", "wavlm_ecapa", "meancnn"):
        (tmp_path / f"{name}.yaml").write_text((CONF / f"{name}.yaml").read_text("utf-8"), "utf-8")
    main(["--conf", str(tmp_path)])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "network" and [row.split()[0] for row in rows] == [
        "meancnn",
        "tdnn",
        "wavlm_ecapa",
    ]
    assert "4.35 M    0.531 G" in rows[1] and rows[0].endswith("  ours")
    main(["--conf", str(tmp_path), "--json"])
    mean, tdnn, wavlm = json.loads(capsys.readouterr().out)
    assert (mean["paper"], tdnn["paper"]) == ("", "Snyder et al., ICASSP 2018")
    assert tdnn["macs"] == pytest.approx(0.53e9, rel=0.01) and tdnn["xvector_dim"] == 512
    assert wavlm["xvector_dim"] == 192 and (wavlm["parameters"] is None) == bool(wavlm["reason"])
