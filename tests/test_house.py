"""The house rules, read off the syntax tree of the package: see CONTRIBUTING.md for why each stands."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import pytest

import anyvlm

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "anyvlm"
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

# Lowest first; "*" stands for any ending. A module may import from groups below its own line, and from its own group.
# Two packages stand on two floors: what describes prompts and files, and what needs a whole system to read them.
ORDER = (
    ("errors",),
    ("spec",),
    ("seq", "keys"),
    ("parts",),
    ("inputs",),
    ("weights",),
    ("parts.catalog",),
    ("system",),
    ("dual",),
    ("contrasts",),
    ("match",),
    ("zoo",),
    ("registry",),
    ("tiny",),
    ("inputs.plan", "weights.config*"),
    ("inputs.collate", "inputs.look", "weights.load"),
    ("weights.save",),
    ("ledger",),
    ("catalogue",),
    ("data",),
    ("generate", "train"),
    ("search",),
    ("evaluate", "anatomy"),
    ("cli", "serve"),
)
SEARCHES = ("startswith", "endswith", "find", "index", "count")
IMPORTS = (ast.Import, ast.ImportFrom)
RANK = {group: rank for rank, line in enumerate(ORDER) for group in line}

PUBLIC = ("load", "system", "systems")
VERBS = (
    "ask", "chat", "classify", "compare", "diagram", "embed", "evaluate", "index", "list", "paint", "search", "show", "tokens",
)  # fmt: skip

# Never in the package: they run code from files, or turn an error into something one may overlook.
BANNED = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "warnings"}
SYNONYMS = {"embed_dim", "hidden_size", "d_model", "n_embd", "num_heads", "num_layers", "vocab_size", "patch_size"}


def nodes(*kinds: type[ast.AST], under: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node of these kinds with its place, "anyvlm/keys.py:12", in files whose path starts with `under`."""
    for path, tree in TREES.items():
        if path.startswith(f"anyvlm/{under}"):
            for node in ast.walk(tree):
                if isinstance(node, kinds):
                    yield f"{path}:{getattr(node, 'lineno', 1)}", node


def group(module: str) -> str | None:
    """The group of a module: "anyvlm.parts.catalog.clip" is in "parts.catalog"; None for the package's front door."""
    parts = module.split(".")[1:]
    longest = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for prefix in longest for name in RANK if fnmatchcase(prefix, name)), parts[0] if parts else None)


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, anywhere in it, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full"
            whole = node.module or ""
            # `from anyvlm import keys` names a module, `from anyvlm.keys import Keys` does not.
            submodules = [f"{whole}.{alias.name}" for alias in node.names if is_module(f"{whole}.{alias.name}")]
            yield from ((node.lineno, name) for name in submodules or [whole])


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_imports_run_one_way() -> None:
    wrong = []
    for path, tree in TREES.items():
        here = group(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        if here is None or path == "anyvlm/__main__.py":
            continue  # the front door imports what it opens
        assert here in RANK, f"{path}: give the new group {here!r} its place in ORDER"
        for line, name in imported(tree):
            if name.split(".")[0] == "anyvlm" and (there := group(name)) != here:
                if there is None:
                    wrong.append(f"{path}:{line} imports the front door")
                elif RANK[there] >= RANK[here]:
                    wrong.append(f"{path}:{line} imports {there}, which stands beside or above {here}")
    assert not wrong, "\n".join(wrong)


def test_nothing_unsafe_or_heavy_is_imported() -> None:
    wrong = [
        f"{path}:{line} imports {name}"
        for path, tree in TREES.items()
        for line, name in imported(tree)
        if name.split(".")[0] in BANNED
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_are_declared_dependencies() -> None:
    """Imports at the top of a file are core dependencies of pyproject.toml; those inside functions may be extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {module_of(line) for line in project["dependencies"]}
    extras = {
        module_of(line)
        for name, lines in project["optional-dependencies"].items()
        for line in lines
        if name != "dev" and not line.startswith("anyvlm[")
    }
    wrong = []
    for path, tree in TREES.items():
        top = {line for line, _ in imported(ast.Module([x for x in tree.body if isinstance(x, IMPORTS)], []))}
        for line, name in imported(tree):
            root = name.split(".")[0]
            known = core if line in top else core | extras
            if root != "anyvlm" and root not in sys.stdlib_module_names and root not in known:
                wrong.append(f"{path}:{line} imports {root}")
    assert not wrong, "\n".join(wrong)


def test_the_extra_dev_holds_what_tests_import() -> None:
    """So that no test is left out for want of a package; typefaces and word lists are found by name, not imported."""
    from anyvlm.data.words import PACKAGES

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert "anyvlm[hub,search,train,video]" in extras["dev"]
    lines = [*project["dependencies"], *(line for each in ("hub", "search", "train", "video", "dev") for line in extras[each])]
    known = {module_of(line) for line in lines} | {"anyvlm", "docs", "tests", *sys.stdlib_module_names}
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").rglob("*.py")]
    wanted = {name.split(".")[0] for tree in trees for _, name in imported(tree)} | set(PACKAGES)
    assert wanted <= known, wanted - known
    assert set(PACKAGES) <= {module_of(line) for line in extras["train"]}


def test_dependencies_stay_light() -> None:
    """The core pulls nothing that compiles, no torchvision and no transformers; torch is bounded to tested versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {module_of(line) for line in project["dependencies"]}
    assert not core & {"torchvision", "torchaudio", "transformers", "timm", "accelerate", "scipy", "cv2", "pandas"}
    assert "torch>=2.11,<2.14" in project["dependencies"]


def module_of(requirement: str) -> str:
    """The module a requirement installs: "huggingface-hub>=1.0" -> "huggingface_hub"."""
    name = re.match(r"[\w-]+", requirement)[0].lower().replace("-", "_")
    return {"pillow": "PIL", "pyyaml": "yaml"}.get(name, name)


QUICK = (
    "import anyvlm",
    "import anyvlm.errors, anyvlm.spec, anyvlm.keys, anyvlm.registry",
    "import anyvlm.inputs.messages, anyvlm.inputs.image, anyvlm.inputs.policy, anyvlm.inputs.template",
)


@pytest.mark.parametrize("code", QUICK)
def test_import_without_torch(code: str) -> None:
    assert_no_torch(code)


LIGHT = [["--help"], ["list"], ["list", "--json"], ["list", "--systems"], ["ask", "--help"], ["paint", "--help"]]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_command_without_torch(words: list[str]) -> None:
    assert_no_torch(
        f"""
import sys
from anyvlm.cli import main
sys.argv = ["anyvlm", *{words!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    )


def assert_no_torch(code: str) -> None:
    check = "import sys; heavy = {'torch', 'transformers'} & set(sys.modules); assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_public_names() -> None:
    assert tuple(sorted(anyvlm.__all__)) == PUBLIC
    assert all(hasattr(anyvlm, name) for name in PUBLIC)


def test_verbs() -> None:
    files = {path.stem for path in (PACKAGE / "cli").glob("*.py")} - {"__init__"}
    assert {name for name in files if not name.startswith("_")} == set(VERBS)


def test_registry_is_the_zoo() -> None:
    """Every system that a zoo file defines has one name in the registry, its own, and every name leads to one."""
    from anyvlm.dual import DualSystem
    from anyvlm.match import MatchSystem
    from anyvlm.registry import SYSTEMS
    from anyvlm.system import System, VisionSystem

    kinds = (System, VisionSystem, MatchSystem, DualSystem)
    found = {}
    for path in sorted((PACKAGE / "zoo").glob("[!_]*.py")):
        module = vars(import_module(f"anyvlm.zoo.{path.stem}"))
        tree = TREES[path.relative_to(ROOT).as_posix()]
        targets = [target for x in tree.body if isinstance(x, ast.Assign) for target in x.targets]
        constants = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        systems = {name: module[name] for name in constants if isinstance(module[name], kinds)}
        found |= {system.name: f"{path.stem}:{constant}" for constant, system in systems.items()}
    assert found == SYSTEMS
    assert list(SYSTEMS) == sorted(SYSTEMS)


def test_nothing_is_decided_by_a_name() -> None:
    """No `"llava" in name`, `name.startswith("llava")`, `system.name == "llava"`: a fact stands in the spec."""
    wrong = []
    for group_ in ("parts/", "system.py", "generate/", "inputs/", "train/", "zoo/"):
        for place, node in nodes(ast.Compare, under=group_):
            sides = [node.left, *node.comparators]
            if any(map(is_name, sides)) and any(map(is_text, sides)):
                wrong.append(place)
        for place, node in nodes(ast.Call, under=group_):
            searched = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr in SEARCHES else None
            if searched is not None and is_name(searched) and any(map(is_text, node.args)):
                wrong.append(place)
    assert not wrong, "\n".join(wrong)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_name(node: ast.AST) -> bool:
    """`name`, `x.name`, `family`, `model_type`, or any of them with `.lower()`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return word in ("name", "model", "model_name", "model_type", "family", "architecture")


def test_only_parts_hold_modules() -> None:
    """nn.Module is subclassed in parts/, for whole models in system.py, match.py and dual.py, and the trainer's adapters."""
    wrong = [
        f"{place} {node.name}"
        for place, node in nodes(ast.ClassDef)
        if any(ast.unparse(base) in ("nn.Module", "torch.nn.Module", "Module") for base in node.bases)
        and not place.startswith(tuple(f"anyvlm/{own}" for own in ("parts/", "system.py", "match.py", "dual.py", "train/")))
    ]
    assert not wrong, "\n".join(wrong)


def test_weights_load_whole_and_safely() -> None:
    """No strict=False, no trust_remote_code, torch.load only with weights_only=True, nothing evaluated."""
    wrong = []
    for place, call in nodes(ast.Call):
        given = {word.arg: word.value for word in call.keywords}
        function = ast.unparse(call.func)
        if ast.unparse(given.get("strict", ast.Constant(True))) == "False" and function != "zip":
            wrong.append(f"{place} strict=False")
        if "trust_remote_code" in given:
            wrong.append(f"{place} trust_remote_code")
        if function == "torch.load" and ast.unparse(given.get("weights_only", ast.Constant(False))) != "True":
            wrong.append(f"{place} torch.load without weights_only=True")
        if function in ("eval", "exec", "os.system"):
            wrong.append(f"{place} {function}")
    assert not wrong, "\n".join(wrong)


def test_signatures_say_what_they_take() -> None:
    """Public functions have no **kwargs and no Any. The one exception edits a spec, and checks every field's name."""
    allowed = {"but"}
    wrong = []
    for place, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        if node.name.startswith("_") and node.name != "__init__" or node.name in allowed:
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        hints = [x.annotation for x in arguments if x.annotation] + ([node.returns] if node.returns else [])
        if node.args.kwarg:
            wrong.append(f"{place} {node.name}(**{node.args.kwarg.arg})")
        if any(isinstance(part, ast.Name) and part.id == "Any" for hint in hints for part in ast.walk(hint)):
            wrong.append(f"{place} {node.name} has Any in its signature")
    assert not wrong, "\n".join(wrong)


def test_one_word_per_idea() -> None:
    """Their words for width, depth and heads appear only as strings: keys of files that others wrote."""
    wrong = []
    for place, node in nodes(ast.Name, ast.arg, ast.FunctionDef):
        word = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else node.name
        if word in SYNONYMS:
            wrong.append(f"{place} {word}")
    assert not wrong, "\n".join(wrong)


def test_files_are_read_in_one_sitting() -> None:
    """At most 500 lines a file, 100 a zoo file, 60 a function."""
    wrong = []
    for path, tree in TREES.items():
        lines = len((ROOT / path).read_text().splitlines())
        if lines > (100 if path.startswith("anyvlm/zoo/") else 500):
            wrong.append(f"{path} has {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno >= 60:
                wrong.append(f"{path}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert not wrong, "\n".join(wrong)
