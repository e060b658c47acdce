"""Fields of a ``config.json`` taken one by one, so that what nobody took is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from anyvlm.errors import SpecError

_T = TypeVar("_T", bool, int, float, str)
_C = TypeVar("_C")

IGNORED = frozenset({
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path", "add_cross_attention",
    "architectures", "attention_dropout", "attention_probs_dropout_prob", "attn_implementation", "auto_map",
    "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward",
    "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty", "do_sample", "drop_path_rate",
    "dropout", "dtype", "early_stopping", "embd_pdrop", "encoder_no_repeat_ngram_size", "eos_token_id",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
    "hidden_dropout", "hidden_dropout_prob", "id2label", "ignore_index", "initializer_factor", "initializer_range",
    "is_decoder", "is_encoder_decoder", "label2id", "length_penalty", "logit_scale_init_value", "max_length",
    "min_length", "model_type", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "output_attentions", "output_hidden_states", "output_scores", "pad_token_id", "prefix", "pretraining_tp",
    "problem_type", "projection_dim", "pruned_heads", "remove_invalid_values", "repetition_penalty", "resid_pdrop",
    "return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params",
    "temperature", "text_config_dict", "tf_legacy_loss", "tie_encoder_decoder", "tokenizer_class", "top_k", "top_p",
    "torch_dtype", "torchscript", "transformers.js_config", "transformers_version", "typical_p", "unk_token_id",
    "use_bfloat16", "use_cache", "vision_config_dict",
})  # fmt: skip
"""Fields that do not change what a model computes on given tokens: training, generation, bookkeeping."""


class Fields:
    """The fields of one config, over the defaults of its class. `where` names the config in messages."""

    def __init__(self, data: Mapping[str, object], defaults: Mapping[str, object], where: str) -> None:
        self._given, self._all, self._where = data, {**defaults, **data}, where
        self._taken: set[str] = set()

    def maybe(self, name: str, kind: type[_T]) -> _T | None:
        """The field, or None if it is null or missing. Raises SpecError for another type."""
        self._taken.add(name)
        value = self._all.get(name)
        if kind is float and type(value) is int:
            value = float(value)
        if value is not None and type(value) is not kind:
            raise SpecError(f"{self._where}: the field '{name}' is {value!r}; expected {kind.__name__}.")
        return value

    def need(self, name: str, kind: type[_T]) -> _T:
        """The field. Raises SpecError if it is missing."""
        value = self.maybe(name, kind)
        if value is None:
            raise SpecError(f"{self._where}: the field '{name}' is missing.")
        return value

    def nested(self, *names: str) -> Mapping[str, object]:
        """The first of these fields that holds an object; {} if none does."""
        self._taken.update(names)
        return next((value for name in names if isinstance(value := self._all.get(name), Mapping)), {})

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of numbers."""
        self._taken.add(name)
        value = self._all.get(name)
        if not isinstance(value, list) or not all(type(item) in (int, float) for item in value):
            raise SpecError(f"{self._where}: the field '{name}' is {value!r}; expected a list of numbers.")
        return tuple(map(float, value))

    def raw(self, name: str) -> object:
        """The field as it stands."""
        self._taken.add(name)
        return self._all.get(name)

    def only(self, name: str, *allowed: object) -> None:
        """Take a field that is supported with these values (or absent) only."""
        value = self.raw(name)
        if value is not None and value not in allowed:
            raise SpecError(
                f"{self._where}: {name} = {value!r} is not supported; only {', '.join(map(repr, allowed))}."
            )

    def choice(self, name: str, table: Mapping[str, _C]) -> _C:
        """What the table has for a name. Raises SpecError for a name it does not have."""
        value = self.need(name, str)
        if value not in table:
            raise SpecError(f"{self._where}: {name} = {value!r} is not supported; only {', '.join(table)}.")
        return table[value]

    def done(self, *ignored: str) -> None:
        """Raise SpecError if a field is left that nobody took and that is not known to be without effect."""
        left = sorted(name for name, v in self._given.items() if v is not None and name not in self._taken | IGNORED)
        if left := [name for name in left if name not in ignored]:
            raise SpecError(f"{self._where}: the field '{left[0]}' ({self._given[left[0]]!r}) is not understood.")
