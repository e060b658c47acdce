"""Loading: what is found, what is refused before a byte is read, ties, dtypes, updates, fallbacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.templates import SMOLLM2
from anyvlm.keys import OURS
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.layouts import lm_hf, vision_hf
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.system import Checkpoint, Lora, Meta, System
from anyvlm.tiny import tiny
from anyvlm.train.lora import add_lora, lora_tensors, merge_lora
from anyvlm.train.pack import quantised
from anyvlm.weights.load import Loaded, dequantised, find, load_module, load_system
from anyvlm.weights.readers import open_tensors
from anyvlm.weights.save import save, tensors
from anyvlm.weights.sources import Directory

LLAVA = tiny(registry.system("llava-1.5-7b")).but(tokenizer=None)


def lm_directory(folder: Path, **changes: object) -> dict[str, torch.Tensor]:
    """A tiny Llama in Hugging Face layout; returns its tensors."""
    config = {
        "model_type": "llama", "vocab_size": 20, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32, **changes,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {
        "model.embed_tokens.weight": (20, 16), "model.norm.weight": (16,), "lm_head.weight": (20, 16),
        "model.layers.0.input_layernorm.weight": (16,), "model.layers.0.post_attention_layernorm.weight": (16,),
        "model.layers.0.self_attn.q_proj.weight": (16, 16), "model.layers.0.self_attn.k_proj.weight": (8, 16),
        "model.layers.0.self_attn.v_proj.weight": (8, 16), "model.layers.0.self_attn.o_proj.weight": (16, 16),
        "model.layers.0.mlp.gate_proj.weight": (24, 16), "model.layers.0.mlp.up_proj.weight": (24, 16),
        "model.layers.0.mlp.down_proj.weight": (16, 24),
    }  # fmt: skip
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def write(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    save_file(state, folder / "model.safetensors")
    return folder


def test_a_directory_fills_the_module(tmp_path: Path) -> None:
    state = lm_directory(tmp_path)
    loaded = load_system(write(tmp_path, state))
    assert not loaded.module.training and loaded.tokenizer is None
    ours = tensors(loaded)
    qkv = torch.cat([state[f"model.layers.0.self_attn.{p}_proj.weight"] for p in "qkv"])
    assert torch.equal(ours["lm.blocks.0.attn.qkv.weight"], qkv)
    assert not any(parameter.is_meta for parameter in loaded.module.parameters())


FAULTS = {
    "missing": (lambda s: s.pop("model.norm.weight"), r"lacks lm\.norm\.weight"),
    "extra": (lambda s: s.update(surprise=torch.zeros(1)), "Nothing claims the checkpoint's surprise"),
    "misshapen": (lambda s: s.update({"model.norm.weight": torch.zeros(17)}), r"lm\.norm\.weight has shape \(17,\)"),
    "half fused": (lambda s: s.pop("model.layers.0.self_attn.k_proj.weight"), r"needs .*k_proj\.weight beside it"),
    "another layer": (lambda s: s.update({"model.layers.1.mlp.down_proj.weight": torch.zeros(16, 24)}), "blocks.1"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_every_tensor_is_accounted_for(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read: nothing may be taken out of the file."""
    state = lm_directory(tmp_path)
    change, said = FAULTS[what]
    change(state)
    write(tmp_path, state)
    monkeypatch.setattr("anyvlm.weights.readers.Tensors.__getitem__", lambda self, name: pytest.fail(f"read {name}"))
    with pytest.raises(WeightsError, match=said):
        load_system(tmp_path)


def test_ties_are_checked_and_kept(tmp_path: Path) -> None:
    state = lm_directory(tmp_path, tie_word_embeddings=True)
    with pytest.raises(WeightsError, match="should equal"):
        load_system(write(tmp_path, state))
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    repeated = load_system(write(tmp_path, state)).module.lm
    assert repeated.head.weight is repeated.embed.weight
    del state["lm_head.weight"]
    left_out = load_system(write(tmp_path, state)).module.lm
    assert left_out.head.weight is left_out.embed.weight


def test_dtype(tmp_path: Path) -> None:
    state = {name: tensor.bfloat16() for name, tensor in lm_directory(tmp_path).items()}
    state["model.norm.weight"] = state["model.norm.weight"].float()  # one odd tensor does not decide
    write(tmp_path, state)
    assert {p.dtype for p in load_system(tmp_path).module.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in load_system(tmp_path, dtype=torch.float16).module.parameters()} == {torch.float16}


def test_plain_tensors_stay_views_of_the_file(tmp_path: Path) -> None:
    """Nothing is copied that need not be: two loads of one mapped file share no memory but read the same pages."""
    write(tmp_path, lm_directory(tmp_path))
    file = open_tensors(tmp_path)
    loaded = load_system(tmp_path).module
    mapped = file["model.embed_tokens.weight"]
    assert torch.equal(loaded.lm.embed.weight, mapped)
    with torch.no_grad():
        loaded.lm.embed.weight.zero_()
    assert open_tensors(tmp_path)["model.embed_tokens.weight"].abs().sum() > 0  # the file is never written through


@pytest.mark.parametrize("name", ["llava-1.5", "LLaVA-1.5-7B", "smollm2-135m"])
def test_unknown_names_are_answered_with_near_ones(name: str) -> None:
    with pytest.raises(SpecError, match=r"nearest are .*, .*, ") as caught:
        find(name)
    assert {"llava-1.5": "llava-1.5-7b", "smollm2-135m": "smollm2-135m-instruct"}.get(name, "llava-1.5-7b") in str(caught.value)


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(WeightsError, match="There is no file or directory"):
        find("./models/llava")
    with pytest.raises(WeightsError, match="There is no file or directory"):
        find(Path("nowhere"))


def test_a_system_without_published_weights_says_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"apply_delta\.py"):
        load_module(registry.system("llava-13b"))


def random_module(system: System) -> torch.nn.Module:
    torch.manual_seed(2)
    module = system.build().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.2)
    return module


def test_parts_from_several_checkpoints(tmp_path: Path) -> None:
    """A language model here, eyes and connector there; the tower's own repository is opened only if it is needed."""
    ours = dict(random_module(LLAVA).named_parameters())
    for part, names in {"lm": ("lm.",), "rest": ("encoders.", "connectors."), "eyes": ("encoders.",)}.items():
        (tmp_path / part).mkdir()
        write(tmp_path / part, {n: p.detach() for n, p in ours.items() if n.startswith(names)})

    def parts(*names: str, fallback: str = "") -> tuple[Checkpoint, ...]:
        return tuple(
            Checkpoint(source=Directory(path=str(tmp_path / n)), layouts=(OURS,), fallback=n == fallback) for n in names
        )

    both = load_module(LLAVA.but(checkpoints=parts("lm", "rest")))
    assert all(torch.equal(p, ours[n]) for n, p in both.named_parameters())
    load_module(LLAVA.but(checkpoints=parts("lm", "rest", "nowhere", fallback="nowhere")))
    with pytest.raises(WeightsError, match="Two checkpoints fill"):
        load_module(LLAVA.but(checkpoints=parts("lm", "rest", "eyes")))
    with pytest.raises(WeightsError, match=r"lacks connectors\.image"):
        load_module(LLAVA.but(checkpoints=parts("lm", "eyes")))
    fresh = load_module(LLAVA.but(checkpoints=parts("lm", "eyes"), fresh=("connectors.*",)))
    assert not any(p.is_meta for p in fresh.parameters())
    assert fresh.connectors["image"].layers[0].weight.std() > 0


def test_a_tower_out_of_a_whole_clip(tmp_path: Path) -> None:
    """The text side of a CLIP is ignored, by name; anything else in the file is not."""
    (tmp_path / "lm").mkdir()
    (tmp_path / "clip").mkdir()
    ours = {n: p.detach() for n, p in random_module(LLAVA).named_parameters()}
    write(tmp_path / "lm", {n: p for n, p in ours.items() if not n.startswith("encoders.")})
    from anyvlm.keys import revert

    layout = vision_hf(CLIP_HF, "encoders.image.")[0]
    tower = dict(revert({n: p for n, p in ours.items() if n.startswith("encoders.")}, layout, LLAVA.part))
    clip = {n: p.contiguous() for n, p in tower.items()} | {
        "text_model.embeddings.token_embedding.weight": torch.zeros(3, 2),
        "visual_projection.weight": torch.zeros(2, 2),
        "logit_scale": torch.tensor(1.0),
        "vision_model.embeddings.position_ids": torch.arange(3)[None],
    }
    write(tmp_path / "clip", clip)
    checkpoints = (
        Checkpoint(source=Directory(path=str(tmp_path / "lm")), layouts=(OURS,)),
        Checkpoint(source=Directory(path=str(tmp_path / "clip")), layouts=vision_hf(CLIP_HF, "encoders.image."), fallback=True),
    )
    module = load_module(LLAVA.but(checkpoints=checkpoints))
    assert all(torch.equal(p, ours[n]) for n, p in module.named_parameters())
    write(tmp_path / "clip", clip | {"vision_model.extra": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"vision_model\.extra"):
        load_module(LLAVA.but(checkpoints=checkpoints))


def test_low_rank_updates_and_int8_matrices(tmp_path: Path) -> None:
    """What `train.pack` writes beside a base: merged, dequantised, and equal to the trained module."""
    base = random_module(LLAVA)
    (tmp_path / "base").mkdir()
    (tmp_path / "trained").mkdir()
    write(tmp_path / "base", {n: p.detach().clone() for n, p in base.named_parameters() if n.startswith("lm.")})
    add_lora(base, Lora(rank=2, alpha=4.0))
    updates = {n: torch.randn_like(t) * 0.1 for n, t in lora_tensors(base).items()}
    rest = {n: p.detach() for n, p in base.named_parameters() if n.startswith(("encoders.", "connectors."))}
    write(tmp_path / "trained", quantised(rest | updates))
    system = LLAVA.but(
        checkpoints=tuple(
            Checkpoint(source=Directory(path=str(tmp_path / n)), layouts=(OURS,)) for n in ("base", "trained")
        )
    )
    module = load_module(system)
    exact = dequantised(open_tensors(tmp_path / "trained"))
    merge_lora(base)
    for name, weight in base.named_parameters():
        layer = name.removesuffix(".weight")
        if f"lora.{layer}.a" in exact:
            wanted = weight + exact[f"lora.{layer}.b"] @ exact[f"lora.{layer}.a"]
            torch.testing.assert_close(module.get_parameter(name), wanted, atol=1e-6, rtol=0)
            assert not torch.equal(module.get_parameter(name), weight)
        else:
            step = weight.abs().amax(-1, keepdim=True) / 127 if weight.ndim == 2 else weight.abs() * 2**-10
            assert ((module.get_parameter(name) - weight).abs() <= step * 0.51 + 1e-6).all()
    rounded = load_module(system, dtype=torch.bfloat16)
    for name, weight in module.named_parameters():
        assert torch.equal(rounded.get_parameter(name), weight.bfloat16()), name  # rounded once, after the update


@pytest.mark.parametrize("fault", ["half", "layer", "shape", "fresh"])
def test_updates_that_do_not_fit(fault: str, tmp_path: Path) -> None:
    module = random_module(LLAVA)
    state = {n: p.detach().clone() for n, p in module.named_parameters()}
    layer = "lm.blocks.9.attn.o" if fault == "layer" else "lm.blocks.0.attn.o"
    state[f"lora.{layer}.a"] = torch.zeros(2, 31 if fault == "shape" else 32)
    if fault != "half":
        state[f"lora.{layer}.b"] = torch.zeros(32, 2)
    if fault == "fresh":
        del state[f"{layer}.weight"]
    write(tmp_path, state)
    here = Checkpoint(source=Directory(path=str(tmp_path)), layouts=(OURS,))
    with pytest.raises(WeightsError, match=layer):
        load_module(LLAVA.but(checkpoints=(here,), fresh=("lm.*",)))


def test_our_own_directory_is_refused_where_the_spec_is_of_another_version(tmp_path: Path) -> None:
    save(Loaded(LLAVA, random_module(LLAVA), None), tmp_path / "saved")
    spec = json.loads((tmp_path / "saved" / "spec.json").read_text())
    spec["lm"]["colour"] = "blue"
    (tmp_path / "saved" / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(SpecError, match="colour"):
        load_system(tmp_path / "saved")


def test_saving_refuses_a_directory_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.txt").write_text("...")
    with pytest.raises(WeightsError, match="was not written by anyvlm"):
        save(Loaded(LLAVA, random_module(LLAVA), None), tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter-1.txt").read_text() == "..."


def test_a_language_model_named_by_hand(tmp_path: Path) -> None:
    """A System needs no registry entry."""
    state = lm_directory(tmp_path)
    write(tmp_path, state)
    named = load_system(tmp_path)
    mine = System(
        name="mine",
        lm=named.system.lm,
        streams={},
        template=SMOLLM2,
        meta=Meta(paper="", year=2026, license="", family="llama", row=""),
        checkpoints=(Checkpoint(source=Directory(path=str(tmp_path)), layouts=(lm_hf(LLAMA_HF),)),),
    )
    assert all(torch.equal(a, b) for a, b in zip(load_module(mine).parameters(), named.module.parameters(), strict=True))
