"""At full size, without a byte of weights: transformers' class of each system maps onto ours with an empty audit, and back."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import transformers as hf
from transformers.core_model_loading import revert_weight_conversion

from anyvlm import registry
from anyvlm.keys import Layout, audit, choose, export_steps
from anyvlm.parts.catalog.layouts import llava_hf
from anyvlm.system import System, VisionSystem
from anyvlm.weights.config_lm import KEYS, read_lm
from anyvlm.weights.config_vision import read_vision
from tests.parity import record
from tests.zoo import published

Shapes = dict[str, tuple[int, ...]]


def config(data: Mapping[str, object]) -> hf.PretrainedConfig:
    return hf.AutoConfig.for_model(**data)


def names(model: hf.PreTrainedModel, in_files: bool = True) -> Shapes:
    """Names and shapes as `save_pretrained` writes them, or as they are in memory (other since version 4.52)."""
    state = model.state_dict()
    state = revert_weight_conversion(model, state) if in_files else state
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def fits(system: System | VisionSystem, theirs: Shapes, layouts: tuple[Layout, ...], name: str) -> None:
    """The audit is empty in both directions, in the layout of that name."""
    with torch.device("meta"):
        ours = {n: tuple(p.shape) for n, p in system.build().named_parameters()}
    plan = choose(theirs, layouts, system.part)
    assert plan.layout.name == name
    audit([(theirs, plan)], ours)
    back = {n for step in export_steps(ours, plan.layout, system.part) for n in step.theirs}
    assert back == theirs.keys() - set(plan.ignored) - {repeat for repeat, _ in plan.ties}


@pytest.mark.parametrize("name", published.LM)
def test_language_model(name: str) -> None:
    system, data = registry.system(name), published.LM[name]
    assert isinstance(system, System) and read_lm(data) == system.lm
    with torch.device("meta"):
        theirs = names(hf.AutoModelForCausalLM.from_config(config(data)))
    layouts = tuple(layout for checkpoint in system.checkpoints for layout in checkpoint.layouts)
    fits(system, theirs, layouts, "hf")
    record("manifest", name, 0.0)


@pytest.mark.parametrize("name", published.EYE)
def test_vision_tower(name: str) -> None:
    system, data = registry.system(name), published.EYE[name]
    assert isinstance(system, VisionSystem) and read_vision(data).encoder == system.encoder
    with torch.device("meta"):
        theirs = names(hf.AutoModel.from_config(config(data)))
    fits(system, theirs, system.checkpoints[0].layouts, "hf-5")
    if data["model_type"] != "dinov2":
        fits(system, {f"vision_model.{n}": shape for n, shape in theirs.items()}, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


@pytest.mark.parametrize("name", published.LLAVA)
def test_llava(name: str) -> None:
    system, (text, vision) = registry.system(name), published.LLAVA[name]
    assert isinstance(system, System) and read_lm(text) == system.lm
    tower = read_vision(vision)
    eye = system.streams["image"].encoder
    assert eye.but(layers=(), skip=0) == tower.encoder
    with torch.device("meta"):
        whole = hf.LlavaConfig(text_config=config(text), vision_config=config(vision))
        model = hf.LlavaForConditionalGeneration(whole)
        theirs, memory = names(model), names(model, in_files=False)
    layouts = llava_hf(KEYS[str(text["model_type"])], tower.keys)
    fits(system, memory, layouts, "hf-module")
    fits(system, theirs, layouts, "hf-5")
    old = {n.replace("vision_tower.", "vision_tower.vision_model."): shape for n, shape in theirs.items()}
    fits(system, old, layouts, "hf")
    record("manifest", name, 0.0)
