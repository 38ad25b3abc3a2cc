"""SAM as the prompted engine uses it: weights from a folder or the Hub, the model built from the tensors' own shapes.

Reads the names of segment_anything's checkpoints (``image_encoder.blocks.0...``) and those of transformers
(``vision_encoder.layers.0...``, as in facebook/sam-vit-base); no file that could run code is opened.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

WEIGHT_FILES = ("model.safetensors", "*.safetensors", "pytorch_model.bin", "*.pth", "*.pt")
_DECODER_HEADS = 8  # the same in every published SAM, and the one size that shapes do not tell
_TYPES = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


def load_sam(path: str | Path, device: str | torch.device = "cpu", revision: str | None = None) -> Sam:
    """Load a SAM (the first version: ViT-B, ViT-L, ViT-H and the same design in other sizes).

    Args:
        path: a weights file, a folder with one, or a model of the Hub by its id.
        device: where it runs, in float32.
        revision: commit, branch or tag of a Hub model.

    Raises:
        FileNotFoundError: no weights are there.
        ValueError: the weights are not SAM's, or cannot be read safely.
    """
    file = _find(str(path), revision)
    sam = build_sam(original_names(_read(file), file.name), file.name)
    return sam.to(device).eval()


def sam_type(sam: Sam) -> str:
    """ "vit_b", "vit_l", "vit_h", or the encoder's width for any other size."""
    width = sam.image_encoder.patch_embed.proj.out_channels
    return _TYPES.get(width, f"vit-{width}")


def _find(path: str, revision: str | None) -> Path:
    here = Path(path)
    if here.is_file():
        return here
    if here.is_dir():
        for pattern in WEIGHT_FILES:
            if files := sorted(here.glob(pattern)):
                return files[0]
        raise FileNotFoundError(f"the SAM folder {path!r} must hold one of {', '.join(WEIGHT_FILES)} but has none")
    if here.is_absolute() or path.startswith((".", "~")) or path.count("/") != 1:
        raise FileNotFoundError(f"SAM must be a weights file, a folder or a Hub id ('user/name') but got {path!r}")
    return _download(path, revision)


def _download(repo_id: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download, list_repo_files
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        try:
            return Path(hf_hub_download(repo_id, "model.safetensors", revision=revision))
        except LocalEntryNotFoundError:  # no network: there is no use in asking what else the repository holds
            raise
        except EntryNotFoundError:
            names = list_repo_files(repo_id, revision=revision)
            for pattern in WEIGHT_FILES:
                for name in sorted(n for n in names if Path(n).match(pattern)):
                    return Path(hf_hub_download(repo_id, name, revision=revision))
    except (HFValidationError, HfHubHTTPError, EntryNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FileNotFoundError(f"SAM must be a folder or a Hub id but got {repo_id!r} ({reason})") from error
    raise FileNotFoundError(f"the Hub model {repo_id!r} must hold one of {', '.join(WEIGHT_FILES)} but has none")


def _read(file: Path) -> dict[str, Tensor]:
    import pickle

    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"the SAM weights in {file.name!r} cannot be read safely ({reason})") from error
    except Exception as error:
        if type(error).__name__ == "SafetensorError":
            raise ValueError(f"the SAM weights in {file.name!r} are damaged ({error})") from error
        raise
    while isinstance(tensors, dict) and len(tensors) < 4:  # {"model": {...}}, as training scripts save it
        inner = next((v for v in tensors.values() if isinstance(v, dict)), None)
        if inner is None:
            break
        tensors = inner
    if not isinstance(tensors, dict):
        raise ValueError(f"the SAM weights in {file.name!r} must be named tensors but are {type(tensors).__name__}")
    return {k: v for k, v in tensors.items() if isinstance(v, Tensor)}


_FROM_TRANSFORMERS = [
    (r"^vision_encoder\.", "image_encoder."),
    (r"^image_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^image_encoder\.layers\.(\d+)\.layer_norm(\d)\.", r"image_encoder.blocks.\1.norm\2."),
    (r"^image_encoder\.layers\.", "image_encoder.blocks."),
    (r"^image_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^image_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^image_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^image_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$",
     "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^shared_image_embedding\.positional_embedding$", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.transformer\.layers\.(\d+)\.layer_norm(\d)\.", r"mask_decoder.transformer.layers.\1.norm\2."),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
]  # fmt: skip
_HEAD = re.compile(
    r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.(?:(layers)\.(\d+)|(proj_in|proj_out))\."
)


def original_names(tensors: dict[str, Tensor], name: str = "the checkpoint") -> dict[str, Tensor]:
    """Tensors under segment_anything's names, whichever of the two naming schemes they come in.

    Raises:
        ValueError: they are neither.
    """
    if "image_encoder.patch_embed.proj.weight" in tensors:
        return tensors
    if "vision_encoder.patch_embed.projection.weight" not in tensors:
        first = ", ".join(list(tensors)[:3]) or "no tensors"
        raise ValueError(
            "SAM weights must be named as segment_anything does ('image_encoder.patch_embed.proj.weight', ...) or as "
            f"transformers does ('vision_encoder.patch_embed.projection.weight', ...) but {name!r} holds {first}"
        )
    # The heads' inner layers are numbered between proj_in and proj_out; how many there are, their names tell.
    depth: dict[str, int] = {}
    for key in tensors:
        if match := _HEAD.match(key):
            depth[match[1]] = max(depth.get(match[1], 0), int(match[3]) + 1 if match[3] else 0)
    renamed = {}
    for key, value in tensors.items():
        if match := _HEAD.match(key):
            number = {None: None, "proj_in": 0, "proj_out": depth[match[1]] + 1}[match[4]]
            number = int(match[3]) + 1 if number is None else number
            key = f"{match[1]}.layers.{number}.{key[match.end() :]}"
        else:
            for pattern, replacement in _FROM_TRANSFORMERS:
                key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed


def build_sam(tensors: dict[str, Tensor], name: str = "the checkpoint") -> Sam:
    """A `Sam` whose sizes are read off the shapes of `tensors`, with these as its weights.

    Raises:
        ValueError: tensors are missing, or do not fit together.
    """
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    try:
        patch = tensors["image_encoder.patch_embed.proj.weight"]
        width, patch_size = patch.shape[0], patch.shape[-1]
        grid = tensors["image_encoder.pos_embed"].shape[1]
        blocks = _count(tensors, r"image_encoder\.blocks\.(\d+)\.")
        reach = [tensors[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(blocks)]
        windows = {length for length, _ in reach if length != 2 * grid - 1}
        channels = tensors["image_encoder.neck.0.weight"].shape[0]
        size = grid * patch_size
        sam = Sam(
            image_encoder=ImageEncoderViT(
                img_size=size,
                patch_size=patch_size,
                embed_dim=width,
                depth=blocks,
                num_heads=width // reach[0][1],
                mlp_ratio=tensors["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
                out_chans=channels,
                qkv_bias="image_encoder.blocks.0.attn.qkv.bias" in tensors,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=(windows.pop() + 1) // 2 if windows else 0,
                global_attn_indexes=[i for i, (length, _) in enumerate(reach) if length == 2 * grid - 1],
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=channels,
                image_embedding_size=(grid, grid),
                input_image_size=(size, size),
                mask_in_chans=tensors["prompt_encoder.mask_downscaling.3.weight"].shape[0],
            ),
            mask_decoder=MaskDecoder(
                transformer_dim=channels,
                transformer=TwoWayTransformer(
                    depth=_count(tensors, r"mask_decoder\.transformer\.layers\.(\d+)\."),
                    embedding_dim=channels,
                    num_heads=_DECODER_HEADS,
                    mlp_dim=tensors["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
                ),
                num_multimask_outputs=tensors["mask_decoder.mask_tokens.weight"].shape[0] - 1,
                iou_head_depth=_count(tensors, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\."),
                iou_head_hidden_dim=tensors["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
            ),
        )
        sam.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=True)
    except KeyError as error:
        raise ValueError(
            f"SAM weights must hold {error} but {name!r} does not; is it a SAM of the first version?"
        ) from error
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"the tensors of {name!r} do not make a SAM ({reason})") from error
    return sam


def _count(tensors: dict[str, Tensor], pattern: str) -> int:
    numbers = [int(match[1]) for key in tensors if (match := re.match(pattern, key))]
    if not numbers:
        raise KeyError(pattern.replace("\\", "").replace("(d+)", "0"))
    return max(numbers) + 1
