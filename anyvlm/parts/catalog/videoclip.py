"""VideoCLIP (2109.14084): sizes and the names of its tensors, which are BERT's (transformers 3.4) in fairseq's model."""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, rename
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.catalog.bert import post_norm
from anyvlm.parts.ffn import MLP
from anyvlm.parts.text import BertText
from anyvlm.parts.vision.seconds import SecondsBert

_BLOCK = PostNorm(heads=12, ffn=MLP(hidden=3072))
VIDEOCLIP_TEXT = BertText(vocab=30522, width=768, depth=12, context=512, block=_BLOCK)
VIDEOCLIP_VIDEO = SecondsBert(into=512, most=32, vocab=30522, width=768, depth=6, context=512, block=_BLOCK)


def _bert(theirs: str) -> Keys:
    return Keys(
        rules=(
            *rename({
                theirs + "embeddings.word_embeddings.": "words.word.",
                theirs + "embeddings.position_embeddings.weight": "words.pos",
                theirs + "embeddings.token_type_embeddings.weight": "words.kind",
                theirs + "embeddings.LayerNorm.": "words.norm.",
            }),
            *post_norm(theirs + "encoder.layer.{}.", "blocks.{}."),
        ),
        ignore=(theirs + "pooler.*", theirs + "embeddings.position_ids"),
    )  # fmt: skip


_MAP = Keys(rules=rename({"linear1.": "up.", "LayerNorm.": "norm.", "linear2.": "down."}))
VIDEOCLIP_LAYOUT = Layout(
    name="fairseq",
    mounts=(
        Mount(theirs="mmmodel.video_encoder.videomlp.", ours="towers.video.encoder.", keys=_MAP),
        Mount(theirs="mmmodel.video_encoder.", ours="towers.video.encoder.", keys=_bert("bert.")),
        Mount(theirs="mmmodel.text_encoder.", ours="towers.text.encoder.", keys=_bert("")),
    ),
)
