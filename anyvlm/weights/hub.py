"""A repository of the Hugging Face hub as a local directory, through its own cache layout.

``HF_HOME``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and ``HF_TOKEN`` mean what they mean to
huggingface_hub. Without that package (the extra ``hub``) a repository that is already in the cache is still found.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from anyvlm.errors import NetworkError, WeightsError
from anyvlm.weights.sources import offline

_SMALL = ["*.json", "*.jinja", "*.model", "*.txt", "*.md"]
_WEIGHTS = (["*.safetensors"], ["*.gguf", "*.bin", "*.pt", "*.pth"])  # the second only if the first finds nothing


def snapshot(repo: str, revision: str, *, weights: bool = True) -> Path:
    """The directory that holds ``repo`` at ``revision``, without its weights unless wanted.

    Raises NetworkError or WeightsError.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo):
        raise WeightsError(f"'{repo}' is not the name of a hub repository; it looks like owner/name.")
    found = cached(repo, revision)
    complete = found is not None and (not weights or _holds(found, *_WEIGHTS))
    if offline():
        if found and complete:
            return found
        what = f"The weights of {repo} are" if found else f"{repo} is"
        raise NetworkError(f"{what} not in the hub cache and HF_HUB_OFFLINE is set; unset it once to fetch what is missing.")
    try:
        import huggingface_hub
    except ImportError as error:
        if found and complete:
            return found
        raise WeightsError(f"To fetch {repo} from the hub, install the extra: pip install 'anyvlm[hub]'.") from error
    from huggingface_hub import errors

    try:
        for kinds in _WEIGHTS if weights else ([],):
            found = Path(huggingface_hub.snapshot_download(repo, revision=revision, allow_patterns=_SMALL + kinds))
            if not weights or _holds(found, kinds):
                return found
    except errors.GatedRepoError as error:
        raise NetworkError(
            f"{repo} is gated: accept its licence at https://huggingface.co/{repo} and set HF_TOKEN, then try again."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NetworkError(f"{repo} has no revision '{revision}' on the hub; check its name.") from error
    except errors.RepositoryNotFoundError as error:
        raise NetworkError(
            f"There is no public {repo} on the hub; check its name, or set HF_TOKEN if it is private."
        ) from error
    except (OSError, RuntimeError, ValueError, errors.HfHubHTTPError) as error:
        raise NetworkError(
            f"Could not fetch {repo} from the hub ({type(error).__name__}); check the network, then try again (what "
            "has arrived is kept)."
        ) from error
    raise WeightsError(f"{repo} at revision '{revision}' holds no weights (*.safetensors, *.gguf, *.bin, *.pt, *.pth).")


def _holds(folder: Path, *kinds: list[str]) -> bool:
    """Whether files of one of these kinds are there."""
    return any(next(folder.rglob(pattern), None) for patterns in kinds for pattern in patterns)


def cached(repo: str, revision: str) -> Path | None:
    """The snapshot directory of ``repo`` in the hub cache, or None. Opens no connection."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    folder = cache / f"models--{repo.replace('/', '--')}"
    reference = folder / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    found = folder / "snapshots" / commit
    return found if re.fullmatch(r"[0-9a-f]{40}", commit) and found.is_dir() else None
