"""The dtype follows the hardware; what is asked for is checked."""

from __future__ import annotations

import pytest
import torch

from anyvlm.errors import InputError
from anyvlm.generate.device import best_dtype, place


@pytest.mark.parametrize("able, dtype", [
    ({"amx_bf16": True}, torch.bfloat16), ({"avx512_bf16": True}, torch.bfloat16),
    ({"avx512_bf16": False, "avx2": True}, torch.float32), ({}, torch.float32),
])  # fmt: skip
def test_cpu(able: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert best_dtype(torch.device("cpu")) == dtype


@pytest.mark.parametrize("able, dtype", [(True, torch.bfloat16), (False, torch.float16)])
def test_cuda(able: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert best_dtype(torch.device("cuda")) == dtype


def test_the_user_decides() -> None:
    assert place("cpu", "fp32").dtype == place("cpu", torch.float32).dtype == torch.float32
    assert place("cpu", "bf16").dtype == torch.bfloat16
    assert place("cpu", "auto") == place("cpu")


@pytest.mark.parametrize("device, dtype, says", [
    ("toaster", None, "not known; use cpu"), ("cuda:99", None, "There is no device"), ("xla", None, "no device"),
    ("cpu", "int8", "dtype 'int8' is not known; use bf16"), ("cpu", torch.float64, "not known"),
    ("cpu", "fp16", "use bf16 or fp32"),
])  # fmt: skip
def test_nonsense_is_refused(device: str, dtype: str | torch.dtype | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        place(device, dtype)
