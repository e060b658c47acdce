"""Repositories of the hub: huggingface_hub against a small server on this machine that speaks the hub's protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from anyvlm.errors import NetworkError, WeightsError
from anyvlm.weights.hub import cached, snapshot

COMMIT = "c0ffee" + "0" * 34
REPOS = {
    "anna/safe": {"config.json": b"{}", "model.safetensors": b"safe", "pytorch_model.bin": b"old", "pic.png": b"png"},
    "anna/old": {"config.json": b"{}", "pytorch_model.bin": b"old", "modeling.py": b"raise SystemExit"},
    "anna/empty": {"README.md": b"# nothing here"},
}


class Handler(BaseHTTPRequestHandler):
    """/api/models/{repo}/... lists a repository, /{repo}/resolve/{revision}/{file} gives a file."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        repo = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        if repo == "anna/gated":
            return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if repo not in REPOS:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if "nope" in parts:
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files = REPOS[repo]
        if parts[0] == "api":
            listing = [{"rfilename": name} for name in files]
            tree = [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in files.items()]
            about = tree if "tree" in parts else {"id": repo, "sha": COMMIT, "siblings": listing}
            return self.answer(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
        data = files[parts[-1]]
        return self.answer(200, data, {"ETag": f'"{parts[1]}-{parts[-1]}"', "X-Repo-Commit": COMMIT})

    def answer(self, code: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


ASK = """
import sys
from anyvlm.errors import AnyVLMError
from anyvlm.weights.sources import Hub, resolve
for line in sys.argv[1:]:
    name, hash, _ = line.partition("#")  # "#" asks for the small files alone
    repo, _, revision = name.partition("@")
    try:
        found = resolve(Hub(repo=repo, revision=revision or "main"), weights=not hash)
        print(*sorted(path.name for path in found.iterdir()))
    except AnyVLMError as error:
        print(type(error).__name__, error)
"""


def ask(home: Path, endpoint: str, *repos: str) -> list[str]:
    """One line of answer for each repository, from a fresh process (huggingface_hub reads its settings at import)."""
    settings = {
        "HF_HOME": str(home),
        "HF_ENDPOINT": endpoint,
        "HF_TOKEN": "hf_secret",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | settings
    command = [sys.executable, "-c", ASK, *repos]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "hf_secret" not in done.stdout + done.stderr
    return done.stdout.splitlines()


def test_hub(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repos = ("anna/safe#", "anna/safe", "anna/old", "anna/empty", "anna/gated", "anna/none", "anna/safe@nope")
    small, safe, old, empty, gated, none, revision = ask(tmp_path, server, *repos)
    assert small == "config.json"
    assert safe == "config.json model.safetensors"  # the pickle and the picture stay where they are
    assert old == "config.json pytorch_model.bin"  # and so does the code
    assert empty.startswith("WeightsError anna/empty at revision 'main' holds no weights")
    assert gated.startswith("NetworkError anna/gated is gated: accept its licence")
    assert none.startswith("NetworkError There is no public anna/none on the hub")
    assert revision.startswith("NetworkError anna/safe has no revision 'nope'")

    # what was fetched is found again with no connection, by our own reading of the cache
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("main", COMMIT):
        assert (snapshot("anna/safe", name) / "model.safetensors").read_bytes() == b"safe"
    with pytest.raises(NetworkError, match="^anna/none is not in the hub cache and HF_HUB_OFFLINE is set"):
        snapshot("anna/none", "main")


def test_small_files_alone_are_not_taken_for_a_model(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`show` fetches no weights; what was fetched for it must not look like a broken checkpoint later."""
    (small,) = ask(tmp_path, server, "anna/safe#")
    assert small == "config.json"
    (line,) = ask(tmp_path, "http://127.0.0.1:9", "anna/safe")
    assert line.startswith("NetworkError Could not fetch anna/safe from the hub")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert (snapshot("anna/safe", "main", weights=False) / "config.json").is_file()
    with pytest.raises(NetworkError, match="^The weights of anna/safe are not in the hub cache and HF_HUB_OFFLINE"):
        snapshot("anna/safe", "main")
    (line,) = ask(tmp_path, server, "anna/safe")
    assert line == "config.json model.safetensors"


def test_no_network(tmp_path: Path) -> None:
    (line,) = ask(tmp_path, "http://127.0.0.1:9", "anna/safe")
    assert line.startswith("NetworkError Could not fetch anna/safe from the hub"), line


def test_cache_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and revisions that climb out of the cache find nothing."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "hub" / "models--anna--safe" / "refs").mkdir(parents=True)
    (tmp_path / "hub" / "models--anna--safe" / "refs" / "main").write_text("../../../secret")
    assert cached("anna/safe", "main") is None
    assert cached("anna/safe", "../../../secret") is None
    with pytest.raises(WeightsError, match="not the name of a hub repository"):
        snapshot("../../etc/passwd", "main")
