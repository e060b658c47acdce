"""Devices are facts with a name, and one's own file adds to them; rooflines are two divisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from anyvlm import registry
from anyvlm.anatomy.bill import bill
from anyvlm.anatomy.devices import DTYPES, device, devices
from anyvlm.anatomy.roofline import first_token, first_token_seconds, next_token, tokens_per_second
from anyvlm.errors import InputError

NAMES = ("cpu", "rtx3090", "rtx4090", "rtx5090", "a100-80gb", "h100", "h200", "b200", "l4", "l40s", "t4", "v100", "m2-ultra",
         "m3-max", "m4-max", "jetson-orin", "mi300x")  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANYVLM_DEVICES", raising=False)
    return tmp_path


def test_every_device_is_plausible() -> None:
    """Narrower is no slower, and more operations than bytes fit into a second."""
    known = devices()
    assert set(NAMES) <= known.keys()
    for each in known.values():
        assert 8e9 <= each.memory <= 1e12 and 5e10 <= each.bandwidth <= 2e13
        rates = [each.rate(dtype) for dtype in DTYPES]
        assert rates == sorted(rates) and rates[0] > each.bandwidth


def test_what_is_not_computed_is_computed_wider() -> None:
    h100, v100 = device("H100"), device("v100")
    assert h100.rate("int4") == h100.rate("int8") == 1979e12 and v100.rate("int4") == v100.rate("bf16")
    with pytest.raises(InputError, match="'fp64'.*bf16, int8, int4"):
        h100.rate("fp64")


def test_an_unknown_device_names_the_known() -> None:
    with pytest.raises(InputError, match="'abacus'.*h100.*ANYVLM_DEVICES"):
        device("abacus")


def test_a_file_of_ones_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = home / ".config" / "anyvlm" / "devices.toml"
    own.parent.mkdir(parents=True)
    own.write_text("[abacus]\nmemory = 1e9\nbandwidth = 2e9\nrates = { bf16 = 3e9 }\n[H100]\nbandwidth = 2e12\n")
    assert device("abacus").rate("int8") == 3e9
    assert device("h100").bandwidth == 2e12 and device("h100").memory == 80e9
    other = home / "other.toml"
    other.write_text("[slate]\nmemory = 1\nbandwidth = 1\nrates = { bf16 = 1 }\n")
    monkeypatch.setenv("ANYVLM_DEVICES", str(other))
    assert device("slate").memory == 1 and "abacus" not in devices()


ONE = "[x]\nmemory = 1\nbandwidth = {}\nrates = {{ {} = 1 }}{}"
VALUES = ((0, "bf16", ""), (1, "fp64", ""), (1, "bf16", "\ncost = 1"))
WRONG = ["memory = 1", "[x", "[x]\nmemory = 1", *(ONE.format(*each) for each in VALUES)]


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused(text: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "own.toml").write_text(text)
    monkeypatch.setenv("ANYVLM_DEVICES", str(home / "own.toml"))
    with pytest.raises(InputError, match="own.toml"):
        devices()


def test_a_file_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYVLM_DEVICES", str(home / "none.toml"))
    with pytest.raises(InputError, match="none.toml.*unset"):
        devices()


def test_rooflines() -> None:
    h100 = device("h100")
    cost = bill(registry.system("llava-1.5-7b"), [(336, 336)], text=64, context=4096)
    first, after = first_token(cost, h100, "bf16"), next_token(cost, h100, "bf16")
    work = cost.encoder + cost.connector + cost.prefill
    assert first.computing == pytest.approx(work / 989e12) and first.reading == pytest.approx(cost.weights["bf16"] / 3.35e12)
    assert first.bound == "compute" and first_token_seconds(cost, h100, "bf16") == first.seconds == first.computing
    # the language model without its table of words, 6.6 B values, and half a MiB for each of 4,096 tokens
    assert after.reading == pytest.approx((13_215_211_520 + 2 * 2**30) / 3.35e12) and after.bound == "memory"
    assert tokens_per_second(cost, h100, "bf16") == pytest.approx(1 / after.reading)
    assert tokens_per_second(cost, h100, "int4") > 2 * tokens_per_second(cost, h100, "bf16")
    with pytest.raises(InputError, match="'fp8'"):
        first_token(cost, h100, "fp8")


def test_towers_write_nothing_and_are_not_quantised() -> None:
    cost = bill(registry.system("clip-vit-b-32"), [(224, 224)])
    assert tokens_per_second(cost, device("rtx4090"), "bf16") == 0
    assert first_token(cost, device("rtx4090"), "int4") == first_token(cost, device("rtx4090"), "bf16")
