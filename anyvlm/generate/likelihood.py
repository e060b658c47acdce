"""How likely a model finds answers that are given to it, and so which of several it would choose (CapPa, 2306.07915).

Shape letters: B answers, T tokens, R supervised places, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from anyvlm.errors import InputError
from anyvlm.generate.model import Model
from anyvlm.inputs.collate import collate
from anyvlm.inputs.image import ImageSource
from anyvlm.inputs.look import looked_at, pixels_of
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.parts.features import Features
from anyvlm.system import VLM, Batch


def log_likelihood(vlm: VLM, batch: Batch, features: Mapping[str, Features] | None = None) -> Tensor:
    """(B,), fp32: the logarithms of the chances of every row's labels, summed. `features`: of its media, if computed before."""
    lm, labels_BT = vlm.lm, batch.labels_BT
    if labels_BT is None:
        raise InputError("A batch without labels says nothing that could be likely; collate it with labels=True.")
    hidden_BTD = lm.hidden(lm.begin(vlm.assemble(batch, features)))
    at_BT = labels_BT >= 0
    log_RV = lm.logits(hidden_BTD[at_BT]).float().log_softmax(-1)
    chosen_R = log_RV.gather(1, labels_BT[at_BT][:, None])[:, 0]
    return chosen_R.new_zeros(len(labels_BT)).index_add(0, at_BT.nonzero()[:, 0], chosen_R)


@torch.inference_mode()
def score_answers(
    model: Model, image: ImageSource, answers: Sequence[str], question: str = "", *, rows: int = 16
) -> Tensor:
    """(B,): how likely each answer is, with its end, beside a picture (and a question), `rows` at a time; the picture is
    encoded once. The likeliest is the class that CapPa's evaluation takes. Raises InputError.
    """
    if not answers or not all(isinstance(each, str) and each.strip() for each in answers):
        raise InputError("There are no answers to score, or one is empty; give at least one, none of them empty.")
    shown = Message("user", (Picture(image), question) if question else (Picture(image),))
    media = looked_at(model.system, [shown], model.remote)
    sizes, out = [each.size for each in media], []
    for start in range(0, len(answers), rows):
        talks = [[shown, Message("assistant", (answer,))] for answer in answers[start : start + rows]]
        plans = [plan(model.system, model.tokenizer, talk, sizes=sizes, reply=False) for talk in talks]
        pixels = [pixels_of(model.system, media, each) for each in plans]
        batch = collate(model.system, plans, pixels, labels=True).to(model.place.device)
        out.append(log_likelihood(model.vlm, batch, model.features(batch.media)))
    return torch.cat(out)
