"""`Model`: a loaded system that answers. Pictures, videos and words in, text out, and pictures where it makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, overload

import torch
from PIL import Image

from anyvlm.dual import DualSystem
from anyvlm.errors import AnyVLMError, InputError
from anyvlm.generate.answer import Answer, Growing, Stream
from anyvlm.generate.device import Place, place
from anyvlm.generate.engine import Delta, Engine
from anyvlm.generate.grammar import Grammar
from anyvlm.generate.memory import FeatureMemory
from anyvlm.generate.painting import Brush, draw, paint, painting_of
from anyvlm.generate.prepack import prepack
from anyvlm.generate.sampling import Sampling
from anyvlm.ground import GroundSystem
from anyvlm.inputs.collate import collate
from anyvlm.inputs.incremental import Decoding
from anyvlm.inputs.look import looked_at, pixels_of
from anyvlm.inputs.messages import Medium, Message, ask, read_messages
from anyvlm.inputs.plan import Plan, plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.match import MatchSystem
from anyvlm.parts.code.mask import MaskDecoder
from anyvlm.system import VLM, System, VisionSystem
from anyvlm.weights.fresh import untrained
from anyvlm.weights.load import find, load_masks, load_module, load_tokenizer

Images = Medium | list[Medium] | tuple[Medium, ...] | None
"""One picture, several, or none: paths, bytes, data URLs, PIL images, arrays, tensors. A video is a `messages.Video`."""
Conversation = Iterable[Message | Mapping[str, object]]
"""Messages in OpenAI's form, ``{"role": "user", "content": "text" | [parts]}``, or as `Message`."""


def load(
    name: str | Path, *, device: str | None = None, dtype: str | torch.dtype | None = None, remote: bool = False,
    masks: str | Path | None = None,
) -> Model:  # fmt: skip
    """`anyvlm.load` for those who want an answer: what cannot give one is refused, before its weights are fetched."""
    where, found = place(device, dtype), find(name)
    if isinstance(found, VisionSystem):
        raise InputError(f"'{found.name}' is an encoder alone and cannot answer; take a system with a language model.")
    if isinstance(found, MatchSystem):
        raise InputError(f"'{found.name}' answers nothing but scores: `anyvlm.load({found.name!r}).match(pictures, texts)`.")
    if isinstance(found, GroundSystem):
        raise InputError(f"'{found.name}' says where words are, and its box head comes later; it does not answer.")
    if isinstance(found, DualSystem):
        how = f"anyvlm.load({found.name!r}).classify(pictures, labels)"
        raise InputError(f"'{found.name}' compares and does not answer: `{how}`.")
    if sentence := untrained(found):
        raise InputError(sentence)
    return Model.load(found, where, remote=remote, masks=masks)


class Model:
    """A system with its weights and tokenizer. One generation at a time.

    `vlm` is an ordinary nn.Module; on a CPU in bf16 its linear layers are packed (`generate.prepack.unpack` undoes that).
    `masks`: the decoder of masks that the system writes, without which they stay codes. `untrained`: why it must not answer
    yet, where parts of it have just been made; it can be trained, and raises InputError when it is asked.
    """

    def __init__(
        self, system: System, vlm: VLM, tokenizer: Tokenizer, where: Place, *, remote: bool = False,
        masks: MaskDecoder | None = None,
    ) -> None:  # fmt: skip
        self.system, self.vlm, self.tokenizer, self.place, self.remote = system, vlm, tokenizer, where, remote
        self.masks, self.untrained = masks, untrained(system)
        self.features = FeatureMemory(vlm)
        self._engine = Engine(vlm)
        control = [stop for stop in system.template.stop if stop in tokenizer.specials]
        self._ends = tokenizer.eos | {tokenizer.id(stop) for stop in control}
        self._stops = tuple(stop for stop in system.template.stop if stop not in control)

    @classmethod
    def load(cls, system: System, where: Place, *, remote: bool = False, masks: str | Path | None = None) -> Self:
        """With the weights of the system's checkpoints and its tokenizer, fetched if need be. `masks`: see `load_masks`."""
        decoder = None if masks is None else load_masks(system, masks)
        vlm = load_module(system, device=where.device, dtype=where.dtype)
        assert isinstance(vlm, VLM)
        if (tokenizer := load_tokenizer(system)) is None:
            raise InputError(f"'{system.name}' has no tokenizer; give a directory that holds one.")
        prepack(vlm)
        return cls(system, vlm, tokenizer, where, remote=remote, masks=decoder)

    @overload
    def ask(
        self, images: Images, question: str, *, stream: Literal[False] = False, max_tokens: int = ...,
        temperature: float = ..., top_k: int = ..., top_p: float = ..., min_p: float = ...,
        repetition_penalty: float = ..., seed: int | None = ..., stop: tuple[str, ...] = ...,
    ) -> Answer: ...  # fmt: skip
    @overload
    def ask(
        self, images: Images, question: str, *, stream: Literal[True], max_tokens: int = ...,
        temperature: float = ..., top_k: int = ..., top_p: float = ..., min_p: float = ...,
        repetition_penalty: float = ..., seed: int | None = ..., stop: tuple[str, ...] = ...,
    ) -> Stream: ...  # fmt: skip
    def ask(
        self, images: Images, question: str, *, stream: bool = False, max_tokens: int = 512,
        temperature: float = 0.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0,
        repetition_penalty: float = 1.0, seed: int | None = None, stop: tuple[str, ...] = (),
    ) -> Answer | Stream:  # fmt: skip
        """Answer a question about pictures, or about none (None). The settings are those of `Sampling`.

        `stream`: return an iterator over pieces of text at once instead. Raises InputError.
        """
        settings = Sampling(
            max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
            repetition_penalty=repetition_penalty, seed=seed, stop=stop,
        )  # fmt: skip
        growing = self.stream(_question(images, question), settings)
        return growing if stream else _finished(growing)

    @overload
    def chat(
        self, messages: Conversation, *, stream: Literal[False] = False, max_tokens: int = ...,
        temperature: float = ..., top_k: int = ..., top_p: float = ..., min_p: float = ...,
        repetition_penalty: float = ..., seed: int | None = ..., stop: tuple[str, ...] = ...,
    ) -> Answer: ...  # fmt: skip
    @overload
    def chat(
        self, messages: Conversation, *, stream: Literal[True], max_tokens: int = ...,
        temperature: float = ..., top_k: int = ..., top_p: float = ..., min_p: float = ...,
        repetition_penalty: float = ..., seed: int | None = ..., stop: tuple[str, ...] = ...,
    ) -> Stream: ...  # fmt: skip
    def chat(
        self, messages: Conversation, *, stream: bool = False, max_tokens: int = 512,
        temperature: float = 0.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0,
        repetition_penalty: float = 1.0, seed: int | None = None, stop: tuple[str, ...] = (),
    ) -> Answer | Stream:  # fmt: skip
        """The assistant's next turn in a conversation; otherwise as `ask`."""
        settings = Sampling(
            max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
            repetition_penalty=repetition_penalty, seed=seed, stop=stop,
        )  # fmt: skip
        growing = self.stream(messages, settings)
        return growing if stream else _finished(growing)

    def stream(self, messages: Conversation, sampling: Sampling) -> Stream:
        """The assistant's next turn, piece by piece. Mistakes in the input are raised here, not at the first piece."""
        begin = time.perf_counter()
        plans, deltas = self._begin([messages], sampling)
        return Stream(deltas, self._growing(plans[0], begin))

    def generate(
        self, conversations: Iterable[Conversation], sampling: Sampling | None = None, *, rows: int = 8
    ) -> list[Answer]:
        """Answers to many conversations, `rows` of them at a time. Each is what it would be alone, up to rounding.

        They may differ in all things: some may have pictures and others none. A mistake in one is raised with its number.
        """
        sampling, todo = sampling or Sampling(), list(conversations)
        answers: list[Answer] = []
        for start in range(0, len(todo), rows):
            begin = time.perf_counter()
            plans, deltas = self._begin(todo[start : start + rows], sampling, start + 1)
            growing = [self._growing(plan, begin) for plan in plans]
            for delta in deltas:
                growing[delta.row].push(delta)
            answers += [each.answer() for each in growing]
        return answers

    def paint(
        self, prompt: str, *, count: int = 1, guidance: float | None = None, temperature: float | None = None,
        top_k: int = 0, top_p: float | None = None, seed: int | None = None, rows: int = 4,
        progress: Callable[[float], None] | None = None,
    ) -> Answer:  # fmt: skip
        """Make pictures of what a prompt says: an answer whose `images` they are.

        `guidance`: how far away from what would be drawn unasked, 1 is not at all; `count`: how many pictures, picture n with
        the seed `seed` + n, `rows` of them at a time. What is None is the authors' setting, or a seed drawn afresh. `progress`
        is called with the share that is done. Raises InputError.
        """
        settings = Brush(
            self.system, guidance=guidance, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, count=count, rows=rows
        )
        return paint(self.vlm, self.tokenizer, self.place.device, prompt, settings, progress)

    def tokens(self, images: Images, question: str) -> Plan:
        """The exact tokens of a prompt, from the sizes of pictures and videos alone; nothing is computed."""
        messages = _question(images, question)
        media = looked_at(self.system, messages, self.remote)
        return plan(self.system, self.tokenizer, messages, sizes=[each.size for each in media])

    def _begin(
        self, conversations: Sequence[Conversation], sampling: Sampling, first: int | None = None
    ) -> tuple[list[Plan], Generator[Delta, None, None]]:
        """Plans of the conversations, and their answers, about to be generated as one batch. `first`: number of the first."""
        if self.untrained:
            raise InputError(self.untrained)
        plans, pixels, grammar = [], [], self._grammar(len(conversations), sampling)
        for n, conversation in enumerate(conversations, first or 1):
            try:
                messages = read_messages(conversation)
                media = looked_at(self.system, messages, self.remote)
                sizes = [each.size for each in media]
                plans.append(plan(self.system, self.tokenizer, messages, sizes=sizes, max_tokens=sampling.max_tokens))
                pixels.append(pixels_of(self.system, media, plans[-1]))
            except AnyVLMError as error:
                raise error if first is None else type(error)(f"conversation {n}: {error}") from None
        batch = collate(self.system, plans, pixels).to(self.place.device)
        deltas = self._engine.generate(
            batch,
            sampling,
            decoders=[self._decoding(plan) for plan in plans],
            ends=self._ends,
            stops=self._stops,
            features=self.features(batch.media),
            grammar=grammar,
        )
        return plans, deltas

    def _growing(self, laid: Plan, begin: float) -> Growing:
        return Growing(laid, begin, self.system.boxes, self.masks, self._draw)

    def _decoding(self, laid: Plan) -> Decoding:
        if self.system.boxes is None or not laid.pictures:
            return self.tokenizer.stream()
        return self.system.boxes.stream(self.tokenizer, laid.pictures[0].cut.picture)

    def _draw(self, written: Sequence[int]) -> tuple[Image.Image, ...]:
        _, grid = painting_of(self.system)
        return draw(self.vlm, torch.tensor(written, device=self.place.device).view(-1, grid[1] * grid[2]), grid)

    def _grammar(self, rows: int, sampling: Sampling) -> Grammar | None:
        """Where pictures are words: text alone, or with `Sampling.pictures` both, each picture whole."""
        painting, painter = self.system.painting, self.vlm.painter
        words_K = None if painter is None else painter.words(self.place.device)
        if painting is None or words_K is None:
            if sampling.pictures:
                name = self.system.name
                raise InputError(f"'{name}' does not write pictures into its text; take one that does, such as chameleon-7b.")
            return None
        places = 0
        if sampling.pictures:
            _, (_, h, w) = painting_of(self.system)
            if sampling.max_tokens < (least := (places := h * w) + 2):
                raise InputError(
                    f"A picture takes {least} tokens and max_tokens is {sampling.max_tokens}; set it to {least} or more."
                )
        begin, end = (self.tokenizer.id(token) for token in (painting.begin, painting.end))
        return Grammar(
            self.system.lm.vocab, words_K, begin, end, places=places, rows=rows, room=sampling.max_tokens,
            pictures=sampling.pictures, name=self.system.template.image,
        )  # fmt: skip


def _question(images: Images, question: str) -> tuple[Message, ...]:
    if not isinstance(question, str) or not question.strip():
        raise InputError("The question is empty; ask something.")
    return ask([] if images is None else images, question)


def _finished(stream: Stream) -> Answer:
    for _ in stream:
        pass
    return stream.answer
