"""Remixes build, count, run, train and load: in small with weights in real layouts, at full size on names and shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy

from anyvlm.anatomy.donors import eye, language, named
from anyvlm.anatomy.remix import remix
from anyvlm.anatomy.transplant import transplanted
from anyvlm.dual import DualSystem, Tower
from anyvlm.errors import SpecError, WeightsError
from anyvlm.generate.device import Place
from anyvlm.generate.engine import Engine
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling
from anyvlm.ground import GroundSystem
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import OURS, Layout, audit, choose, export_steps, revert
from anyvlm.match import AnySystem, MatchSystem
from anyvlm.parts.code.code import Code
from anyvlm.registry import SYSTEMS, system
from anyvlm.spec import from_json, to_json
from anyvlm.system import VLM, Batch, Checkpoint, System, VisionSystem
from anyvlm.tiny import tiny, tiny_dual, tiny_match, tiny_vision
from anyvlm.train.loop import trainable
from anyvlm.weights.fresh import untrained
from anyvlm.weights.load import Loaded, find, load_module, load_system
from anyvlm.weights.save import save, tensors
from anyvlm.weights.sources import Directory
from anyvlm.weights.systemfile import write_system

MIXES = {
    "perceiver": ("llava-1.5-7b", "siglip-so400m-384", "perceiver", "qwen2.5-1.5b"),
    "qformer": ("llava-next-vicuna-7b", None, "qformer", None),
    "pocket": ("anyvlm-pocket", "dinov2-small", None, None),
    "beside": ("openflamingo-3b-vitl-mpt1b", "clip-l-336", None, "smollm2-135m"),
    "two sides": ("blip2-flan-t5-xl", "siglip2-b-16-256", "mlp", "flan-t5-small"),
}
STEPS = 6


@cache
def mixed(mix: str) -> System:
    base, encoder, connector, lm = MIXES[mix]
    return remix(base, encoder=encoder, connector=connector, lm=lm)[0]


@cache
def small(mix: str) -> System:
    return tiny(mixed(mix)).but(tokenizer=None, lm__context=2048)


@cache
def tokenizer(mix: str) -> Tokenizer:
    """One token for a byte, and the control tokens of the template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE(vocab={char: id for id, char in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([*small(mix).template.specials, small(mix).placeholder])
    return Tokenizer(inner, added=small(mix).added)


def asked(mix: str, answer: str = "") -> tuple[Plan, Batch]:
    """A question about one picture of noise."""
    spec, random = small(mix), np.random.default_rng(0)
    said = [Message("assistant", (answer,))] if answer else []
    question = Message("user", (Picture(""), "What is it?"))
    laid = plan(spec, tokenizer(mix), [question, *said], sizes=[(100, 70)], reply=not said)
    arrays = [random.standard_normal((3, *shape)).astype(np.float32) for seen in laid.pictures for shape in seen.cut.sizes]
    return laid, collate(spec, [laid], [arrays], labels=bool(said))


@pytest.mark.parametrize("mix", MIXES)
def test_it_counts_runs_and_trains(mix: str) -> None:
    """Plan == rows, an answer comes out, and the first stage moves what it names and lowers the loss."""
    vlm = small(mix).build()
    laid, batch = asked(mix)
    with torch.no_grad():
        rows = vlm.rows(batch.media)["image"]
    stream = small(mix).streams["image"]
    beside = sum(h * w for _, h, w in stream.rows(laid.pictures[0].cut))
    assert len(rows.x_ND) == (beside if stream.reach else laid.image_tokens)
    pieces = Engine(vlm.eval()).generate(batch, Sampling(max_tokens=5), decoders=[tokenizer(mix).stream()], ends=())
    assert len(list(pieces)) == 5

    stage = small(mix).stages[0]
    vlm.train()
    moving = trainable(vlm, stage)
    assert moving.keys() == {n for n, _ in vlm.named_parameters() if any(fnmatchcase(n, glob) for glob in stage.train)}
    before = {n: p.detach().clone() for n, p in vlm.named_parameters()}
    _, batch = asked(mix, "It is there.")
    optimiser, losses = torch.optim.Adam(moving.values(), lr=3e-3), []
    for _ in range(STEPS):
        loss = cross_entropy(vlm(batch)[0], batch.labels_BT[0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    moved = {n for n, p in vlm.named_parameters() if not torch.equal(p, before[n])}
    assert losses[-1] < losses[0] and moved and moved <= moving.keys()
    assert {n.split(".")[0] for n in moved} == {n.split(".")[0] for n in moving}


@pytest.mark.parametrize("mix", MIXES)
def test_it_round_trips(mix: str, tmp_path: Path) -> None:
    """As JSON, as a file, and as a directory with weights, which may be asked."""
    spec = mixed(mix)
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec
    write_system(spec, tmp_path / "my.system.json")
    assert find(tmp_path / "my.system.json") == spec == find(str(tmp_path / "my.system.json"))
    loaded = Loaded(small(mix), small(mix).build().eval(), tokenizer(mix))
    save(loaded, tmp_path / "saved")
    again = load_system(tmp_path / "saved")
    assert again.system.but(checkpoints=(), tokenizer=None) == small(mix).but(checkpoints=(), fresh=())
    ours, theirs = tensors(loaded), tensors(again)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)
    assert untrained(spec) and not untrained(again.system)
    # what has been saved is a system like any other, to be remixed again
    assert remix(str(tmp_path / "saved"), connector="linear")[0].lm == small(mix).lm


# Weights of its parts -------------------------------------------------------------------------------------------------


def shrunk(found: AnySystem) -> AnySystem:
    if isinstance(found, MatchSystem):
        return tiny_match(found)
    if isinstance(found, DualSystem):
        return tiny_dual(found)
    return tiny_vision(found) if isinstance(found, VisionSystem) else tiny(found)


def theirs_of(found: AnySystem, layout: Layout, shapes: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a file in this layout holds of a system."""
    if not layout.mounts:
        return dict(shapes)
    known = {n: t for n, t in shapes.items() if any(n.startswith(mount.ours) for mount in layout.mounts)}
    while True:
        try:
            export_steps(known, layout, found.part)
            return dict(revert(known, layout, found.part))
        except WeightsError as error:  # a layout of some parts of a whole, whose last mount lies at ""
            unnamed = [name for name in known if name in str(error)]
            if not unnamed:
                raise
            known = {name: tensor for name, tensor in known.items() if name not in unnamed}


def fills(found: AnySystem, prefix: str, to: str, spec: System, without: tuple[str, ...] = ()) -> None:
    """In every layout its files account for exactly the part, in its shapes, and nothing in them is left unclaimed."""
    with torch.device("meta"):
        theirs, ours = dict(found.build().named_parameters()), dict(spec.build().named_parameters())
    shapes = {n: tuple(p.shape) for n, p in ours.items()}
    wanted = {n for n in shapes if n.startswith(to) and not (without and n.startswith(without))}
    total: set[str] = set()
    for checkpoint in found.checkpoints:
        kept = [c.layouts for c in transplanted(found.but(checkpoints=(checkpoint,)), {prefix: to}, without)]
        for layout in checkpoint.layouts if kept else ():
            names = {n: tuple(t.shape) for n, t in theirs_of(found, layout, theirs).items()}
            match = choose(names, kept[0], spec.part)
            filled = {name for step in match.steps for name in step.ours}
            assert filled <= wanted and not match.unclaimed and not match.incomplete, (layout.name, match.unclaimed)
            audit([(names, match)], shapes, tuple(set(shapes) - filled))
            total |= filled
    assert total == (wanted if found.checkpoints else set())


def test_an_eye_of_many_maps_is_refused() -> None:
    with pytest.raises(SpecError, match="maps of several sizes"):
        eye("glip-t")


def has_eye(found: AnySystem) -> bool:
    if isinstance(found, GroundSystem):
        return False
    if isinstance(found, DualSystem):
        return any(isinstance(tower, Tower) for tower in found.towers.values())
    if isinstance(found, System):
        return bool(found.streams) and not isinstance(next(iter(found.streams.values())).encoder, Code)
    return True


def speaks(found: AnySystem) -> bool:
    return isinstance(found, System) and not any(stream.reach == "all" for stream in found.streams.values())


def one_a_file(fits: Callable[[AnySystem], bool]) -> list[str]:
    """The first and the last that fit of every zoo file: sizes of a lineage share their layouts."""
    files: dict[str, list[str]] = {}
    for name, place in SYSTEMS.items():
        if fits(system(name)):
            files.setdefault(place.split(":")[0], []).append(name)
    return sorted({name for names in files.values() for name in (names[0], names[-1])})


EYES, TONGUES = one_a_file(has_eye), one_a_file(speaks)


@pytest.mark.parametrize("name", EYES)
def test_any_eye_brings_its_weights(name: str) -> None:
    found = shrunk(system(name))
    seeing = eye(found)
    host = tiny(system("llava-1.5-7b")).but(streams__image__encoder=seeing.encoder)
    fills(found, seeing.prefix, "encoders.image.", host)


@pytest.mark.parametrize("name", TONGUES)
def test_any_language_model_brings_its_weights(name: str) -> None:
    found = shrunk(system(name))
    assert isinstance(found, System)
    host = tiny(system("llava-1.5-7b")).but(lm=found.lm.but(inserts=()), attention=found.attention)
    fills(found, "lm.", "lm.", host, ("lm.inserts.",))


def at_full_size(mix: str) -> None:
    """Files of all donors leave exactly what is declared fresh unfilled."""
    base, encoder, _, lm = (named(word) if word and n != 2 else None for n, word in enumerate(MIXES[mix]))
    spec, files = mixed(mix), []
    with torch.device("meta"):
        shapes = {n: tuple(p.shape) for n, p in spec.build().named_parameters()}
    for checkpoint in spec.checkpoints:
        donor = next(d for d in (encoder, lm, base) if d and checkpoint.source in [c.source for c in d.checkpoints])
        whole = next(c for c in donor.checkpoints if c.source == checkpoint.source).layouts[0]
        with torch.device("meta"):
            names = theirs_of(donor, whole, dict(donor.build().named_parameters()))
        read = {n: tuple(t.shape) for n, t in names.items()}
        files.append((read, choose(read, checkpoint.layouts, spec.part)))
    audit(files, shapes, spec.fresh)
    filled = {name for _, match in files for step in match.steps for name in step.ours}
    assert shapes.keys() - filled == {n for n in shapes if any(fnmatchcase(n, glob) for glob in spec.fresh)}


@pytest.mark.parametrize("mix", ["perceiver", "qformer", "beside"])
def test_fresh_is_what_no_file_fills(mix: str) -> None:
    at_full_size(mix)


def written(found: AnySystem, layout: str, folder: Path) -> tuple[AnySystem, dict[str, torch.Tensor]]:
    """A system whose random weights lie in a folder, in this layout."""
    torch.manual_seed(len(found.name))
    module, chosen = found.build(), next(each for c in found.checkpoints for each in c.layouts if each.name == layout)
    folder.mkdir()
    ours = tensors(Loaded(found, module, None))
    save_file({n: t.contiguous() for n, t in theirs_of(found, chosen, ours).items()}, folder / "model.safetensors")
    source = Directory(path=str(folder))
    return found.but(checkpoints=(Checkpoint(source=source, layouts=(chosen,)),)), ours


def test_parts_load_their_weights_and_the_rest_begins(tmp_path: Path) -> None:
    """From files in the layouts of both donors; what is fresh begins anew each time, and is refused when asked."""
    seeing, of_eye = written(tiny_dual(system("siglip-vit-so400m-14-384")), "hf", tmp_path / "eye")
    speaking, of_lm = written(tiny(system("qwen2.5-1.5b-instruct")), "hf", tmp_path / "lm")
    spec, report = remix(tiny(system("llava-1.5-7b")), encoder=seeing, connector="qformer", lm=speaking)
    spec = spec.but(streams__image__connector=tiny(spec).streams["image"].connector, tokenizer=None)
    write_system(spec, tmp_path / "my.system.json")
    vlm = load_module(find(tmp_path / "my.system.json"), dtype=torch.float32)
    assert isinstance(vlm, VLM) and not any(p.is_meta for p in vlm.parameters())
    for name, tensor in vlm.state_dict().items():
        if name.startswith("encoders.image."):
            assert torch.equal(tensor, of_eye[name.replace("encoders.image.", "towers.image.encoder.")])
        elif name.startswith("lm.") and name in of_lm:
            assert torch.equal(tensor, of_lm[name])
    queries = vlm.connectors["image"].queries
    assert 0.01 < queries.std() < 0.03 and not torch.equal(queries, load_module(spec).connectors["image"].queries)
    assert report.fresh == ("connectors.image.*",) and report.first == "align"
    model = Model(spec, vlm, tokenizer("perceiver"), Place(torch.device("cpu"), torch.float32))
    with pytest.raises(Exception, match="untrained: no checkpoint fills connectors.image.*; train its stage 'align' first"):
        model.ask(None, "Hello?")


def test_the_pocket_keeps_what_is_its_own(tmp_path: Path) -> None:
    """Files in our own names, low-rank updates beside them: they go with the language model, and stay with it."""
    pocket, seen = system("anyvlm-pocket"), {}
    for encoder, lm in ((None, "smollm2-135m"), ("dinov2-small", None)):
        spec = remix(pocket, encoder=encoder, lm=lm)[0]
        (layout,) = next(c for c in spec.checkpoints if c.source == pocket.checkpoints[1].source).layouts
        names = ["encoders.image.blocks.0.norm1.weight", "connectors.image.line", "lm.norm.weight"]
        updates = ["lora.lm.blocks.0.attn.qkv.a", "lora.lm.blocks.0.attn.qkv.b"]
        match = choose(names, (layout,), spec.part)
        seen[encoder] = [name for step in match.steps for name in step.ours]
        assert all(any(fnmatchcase(u, glob) for glob in layout.ignore) is (lm is not None) for u in updates)
    assert seen == {None: names[:1], "dinov2-small": names[2:]}


# What does not go -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "parts", "said"),
    [
        ("llava-1.5-7b", {}, "Nothing is to be changed"),
        ("llava-1.5-7b", {"connector": "mpl"}, "no connector 'mpl'; there are linear"),
        ("llava-1.5-7b", {"encoder": "sigip-so400m"}, "nearest are siglip-vit-so400m-14-224"),
        ("llava-1.5-7b", {"encoder": "siglip-384"}, "may be siglip-vit-b-16-384, siglip-vit-l-16-384"),
        ("llava-1.5-7b", {"encoder": "qwen2.5-1.5b"}, "language model without eyes"),
        ("llava-1.5-7b", {"encoder": "chameleon-7b"}, "words of its own vocabulary"),
        ("llava-1.5-7b", {"encoder": "siglip-so400m-384", "connector": "merger"}, "27 x 27 patches cannot be cut"),
        ("llava-1.5-7b", {"encoder": "llama-3.2-11b"}, "would take 6404 tokens"),
        ("llava-1.5-7b", {"lm": "clip-b-32"}, "has no language model that writes"),
        ("llava-1.5-7b", {"lm": "blip-vqa-base"}, "cannot be taken out"),
        ("blip-vqa-base", {"lm": "qwen2.5-1.5b"}, "it stays. Leave out --lm"),
        ("idefics-9b", {"lm": "flan-t5-small"}, "T5, the language model to come, has no place"),
        ("janus-pro-1b", {"lm": "qwen2.5-1.5b"}, "also paints"),
        ("clip-vit-b-32", {"lm": "qwen2.5-1.5b"}, "answers no questions"),
        ("qwen2.5-0.5b", {"connector": "mlp"}, "has no eye; give it one with --encoder"),
    ],
)
def test_impossible_mixes_are_refused_in_a_sentence(base: str, parts: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError, match=said) as error:
        remix(base, **parts)
    assert str(error.value).endswith((".", "all.")) and "\n" not in str(error.value)


def test_names() -> None:
    assert named("qwen2.5-1.5b").name == "qwen2.5-1.5b-instruct" and named("clip-l-336").name == "clip-vit-l-14-336"
    assert eye("siglip-so400m-384").origin.name == "siglip-vit-so400m-14-384"
    assert language("llava-1.5-7b").name == "llava-1.5-7b"
    assert named("siglip-vit-b-16-384").name == "siglip-vit-b-16-384"


def test_a_language_model_gets_an_eye() -> None:
    spec, report = remix("qwen2.5-0.5b", encoder="clip-l-336", connector="mlp")
    assert report.before is None and report.after.tokens == 576 and report.first == "align" == spec.stages[0].name
    assert spec.stages[0].train == ("connectors.image.*",) and spec.template == system("qwen2.5-0.5b-instruct").template


def test_tiles_and_layers_between_blocks_fit_the_new_parts() -> None:
    tiled = remix("llava-next-vicuna-7b", encoder="siglip-so400m-384")[0].streams["image"]
    assert tiled.policy.one.size == (384, 384) and tiled.policy.pinpoints[0] == (384, 768) and tiled.join is not None
    (gated,) = mixed("beside").lm.inserts
    assert gated.layers == tuple(range(30)) and gated.ffn.hidden == 4 * 576
    assert mixed("beside").fresh == ("connectors.image.*", "lm.inserts.*")
    assert OURS not in mixed("beside").checkpoints[0].layouts


def test_stages_name_what_is_there() -> None:
    """All globs of all stages of many mixes are parameters, and one stage trains all that is fresh."""
    mixes = [*MIXES.values(), ("blip2-opt-2.7b", None, "mlp", "qwen2.5-0.5b"), ("flamingo-3b", None, None, "qwen2.5-0.5b")]
    mixes += [("idefics3-8b", "dinov2-large", None, "qwen2.5-3b"), ("moe-llava-phi2-2.7b-4e", None, "shuffle", "smollm2-135m")]
    for base, encoder, connector, lm in mixes:
        spec, report = remix(base, encoder=encoder, connector=connector, lm=lm)
        with torch.device("meta"):
            names = [name for name, _ in spec.build().named_parameters()]
        for stage in spec.stages:
            assert all(any(fnmatchcase(name, glob) for name in names) for glob in (*stage.train, *stage.rates)), stage
        first = next(stage for stage in spec.stages if stage.name == report.first)
        fresh = {name for name in names if any(fnmatchcase(name, glob) for glob in spec.fresh)}
        assert fresh and all(any(fnmatchcase(name, glob) for glob in first.train) for name in fresh)
