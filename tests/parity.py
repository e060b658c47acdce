"""Shared by the parity tests: tiny random models of transformers, saved by their own `save_pretrained`, loaded by ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
import transformers
from torch import Tensor

from anyvlm.parts.features import Grid, patches
from anyvlm.system import Pixels

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

REFERENCE = f"transformers {transformers.__version__}"


def record(ring: str, subject: str, difference: float, reference: str = REFERENCE) -> None:
    """Note a result for the ledger: one JSON line in the file named by ANYVLM_LEDGER, if it is set (`make parity`).

    `subject`: a registry name, or "family:<name>" for what was shown of all systems of a key table.
    """
    if path := os.environ.get("ANYVLM_LEDGER"):
        line = {"ring": ring, "subject": subject, "difference": difference, "reference": reference}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def stirred(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """The model with random values everywhere, norms and biases too, so that no tensor can be exchanged unnoticed."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if parameter.ndim > 1:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
            else:
                parameter.copy_(1 + 0.2 * noise if "norm" in name and name.endswith("weight") else 0.2 * noise)
    return model.eval()


def saved(model: transformers.PreTrainedModel, folder: Path) -> Path:
    """The folder, holding the model."""
    model.save_pretrained(folder)
    return folder


def pixels(images_BCHW: Tensor, patch: int) -> Pixels:
    """Pictures as our encoders read them."""
    B, _, H, W = images_BCHW.shape
    grid: Grid = (1, H // patch, W // patch)
    return Pixels(patches(images_BCHW, patch), (grid,) * B)


def gap(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours - theirs).abs().max())
