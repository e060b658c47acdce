"""FC-CLIP (2308.02487): a frozen convolutional CLIP that reads large pictures and says what lies under masks.

Numbers: bytedance/fc-clip 2b0bbe2 `configs/coco/panoptic-segmentation/fcclip/fcclip_convnext_large_eval_ade20k.yaml`,
`fcclip/modeling/backbone/clip.py`. Here are its towers and the classifier without training (`generate.masks`); the pixel
decoder and the decoder of masks come later.
"""

from __future__ import annotations

from anyvlm.inputs.shortest import Shortest
from anyvlm.zoo.convnext_clip import CLIP_CONVNEXT_L_D_320_SOUP

FC_CLIP = CLIP_CONVNEXT_L_D_320_SOUP.but(
    name="fc-clip", towers__image__policy=Shortest(short=800, longest=1333),
    stages=tuple(
        stage.but(note="as OpenCLIP trained them; FC-CLIP trains none of this, only the decoders that come later")
        for stage in CLIP_CONVNEXT_L_D_320_SOUP.stages
    ),
    meta__paper="2308.02487", meta__year=2023, meta__license="Apache-2.0", meta__family="fc-clip", meta__row="fc-clip",
    meta__summary="Its towers, and the classifier of given masks; the mask head comes later.",
)  # fmt: skip
