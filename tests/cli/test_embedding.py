"""embed, classify, index and search with a language model that makes points, loaded from a directory that we wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from anyvlm.system import VLM
from anyvlm.weights.load import Loaded
from anyvlm.weights.save import save
from tests.commands import run
from tests.train.test_embedding import NAME, fresh, model
from tests.whole import noise
from tests.zoo.test_laws import tokenizer


def test_every_job(tmp_path: Path) -> None:
    vlm = fresh()
    assert isinstance(vlm, VLM)
    save(Loaded(vlm.spec, vlm, tokenizer(NAME)), tmp_path / "saved")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(2):
        noise(40, 30, n).save(folder / f"{n}.png")
    given = "--model", tmp_path / "saved", "--device", "cpu", "--dtype", "fp32"
    done = run("embed", folder / "0.png", "a cat", *given)
    assert not done.code, done.err
    found = [json.loads(line)["vector"] for line in done.out.splitlines()]
    wanted = model(vlm).embed(noise(40, 30, 0), "a cat")
    assert wanted.images is not None and wanted.texts is not None
    assert np.allclose(found, np.concatenate([wanted.images, wanted.texts]), atol=1e-5)
    done = run("classify", folder / "0.png", "--labels", "cat,dog", "--json", *given)
    assert abs(sum(json.loads(done.out)["pictures"][0]["probabilities"].values()) - 1) < 1e-5
    assert "chooses among labels" in run("classify", folder / "0.png", "--labels", "cat", *given).err
    assert not run("index", folder, *given).code
    assert "0.png" in run("search", folder, "a cat", "--device", "cpu", "--dtype", "fp32").out
