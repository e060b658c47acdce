"""Pictures by worker processes: the same as decoded here, in order, and small on the way."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from anyvlm.inputs.decode import GROUP, Held, decode, decoded
from anyvlm.inputs.policy import ImagePolicy, Levels, Policy, whole
from anyvlm.inputs.tiles import AnyRes
from tests.whole import noise

CROP = ImagePolicy(size=(48, 64), fit="crop")


def files(folder: Path, count: int) -> list[str]:
    for n in range(count):
        noise(40 + n, 90, n).save(folder / f"{n:02}.png")
    return sorted(str(path) for path in folder.iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_return_what_is_decoded_here(workers: int, tmp_path: Path) -> None:
    paths = files(tmp_path, 2 * GROUP + 3)
    Path(paths[4]).write_bytes(b"not a picture")
    known = frozenset([decode(paths[6], CROP).digest])
    sources = [*paths[:-1], Held("in memory", Path(paths[-1]).read_bytes()), str(tmp_path / "missing")]
    here, there = (list(decoded(sources, CROP, workers=n, known=known)) for n in (0, workers))
    assert [(one.path, one.digest, one.error) for one in there] == [(one.path, one.digest, one.error) for one in here]
    assert there[-2].path == "in memory" and "no file" in there[-1].error and there[4].error and not there[6].parts
    for a, b in zip(here, there, strict=True):
        assert len(a.parts) == len(b.parts)
        assert not a.parts or np.array_equal(a.array, b.array)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad", "keep", "corner"])
def test_levels_are_the_array_in_a_quarter_of_its_size(fit: str) -> None:
    policy = ImagePolicy(size=(48, 64), fit=fit, fill=(1, 2, 3), short=50 if fit == "crop" else None)
    picture = noise(130, 70, 1)
    (part,), (array,) = policy.parts(picture), policy.arrays(picture)
    assert isinstance(part, Levels) and array.dtype == np.float32 and array.flags.c_contiguous
    assert np.array_equal(whole(part), array) and array.shape[1:] == policy.plan(130, 70)
    pixels = np.asarray(part.bytes_3hw, np.float64)
    mean, std = (np.array(each)[:, None, None] for each in (policy.mean, policy.std))
    np.testing.assert_allclose(array, (pixels / 255 - mean) / std, atol=1e-6)
    assert len(pickle.dumps(part)) < len(pickle.dumps(array)) / 2.5  # the table of 3 x 256 values goes with it


def test_policies_of_many_arrays_send_them_as_they_are() -> None:
    policy: Policy = AnyRes(one=CROP.but(size=(32, 32), fit="crop"), pinpoints=((32, 64), (64, 32)))
    picture = noise(64, 30, 1)
    parts, arrays = policy.parts(picture), policy.arrays(picture)
    assert len(parts) == len(arrays) > 1 and all(map(np.array_equal, map(whole, parts), arrays))
