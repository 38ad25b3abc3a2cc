"""Tiny vision-language models and a tiny SAM of the real classes, made on the spot and loaded by the real path."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch

from annexe_demo.model import prompted
from annexe_demo.pipeline import NO_TARGET

SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
    "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
)  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<<PICTURE>>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SAMPLES = (
    "In this image, the right hand of the person is holding a red mug over the table. The left hand is blue.",
    'The mask of the <p>right hand</p> and the <p>mug</p>.\n```json\n[{"bbox_2d": [100, 200, 345, 678], "label": "mug"}]',
    "Please segment the hand. What color is it? 0 1 2 3 4 5 6 7 8 9 " + NO_TARGET,
)


def write_vlm(folder: Path, kind: str, texts: Iterable[str] = (), vocab: int = 700, seed: int = 0) -> Path:
    """Save a random model of `kind` ("qwen3_vl", "qwen2_5_vl" or "idefics3") with its processor; returns `folder`."""
    tokenizer = _tokenizer([*_prompt_texts(), *SAMPLES, *texts], vocab)
    torch.manual_seed(seed)
    model, processor = {"qwen3_vl": _qwen3, "qwen2_5_vl": _qwen2_5, "idefics3": _idefics3}[kind](tokenizer)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.pad_token_id = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _prompt_texts() -> list[str]:
    return [path.read_text() for path in sorted(prompted._PROMPTS.glob("*.txt"))]


def _tokenizer(texts: list[str], vocab: int):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _text_config(tokenizer, sections: list[int] | None, **more) -> dict:
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    if sections:
        rope["mrope_section"] = sections
    return dict(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, rope_parameters=rope, bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"), pad_token_id=0, **more,
    )  # fmt: skip


def _vision_tokens(tokenizer) -> dict[str, int]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def _qwen_template() -> str:
    return TEMPLATE.replace("<<PICTURE>>", "<|vision_start|><|image_pad|><|vision_end|>")


def _qwen3(tokenizer):
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    vision = dict(
        depth=2, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64, patch_size=16,
        spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=64, deepstack_visual_indexes=[0],
    )  # fmt: skip
    config = Qwen3VLConfig(
        text_config=_text_config(tokenizer, [4, 2, 2], head_dim=16), vision_config=vision, **_vision_tokens(tokenizer)
    )
    images = Qwen2VLImageProcessor(
        patch_size=16, merge_size=2, size={"shortest_edge": 64 * 64, "longest_edge": 128 * 128}
    )
    processor = Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(), chat_template=_qwen_template())
    return Qwen3VLForConditionalGeneration(config), processor


def _qwen2_5(tokenizer):
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    vision = dict(
        depth=2, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64, patch_size=14,
        spatial_merge_size=2, temporal_patch_size=2, window_size=56, fullatt_block_indexes=[1],
    )  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config=_text_config(tokenizer, [4, 2, 2]), vision_config=vision, **_vision_tokens(tokenizer)
    )
    images = Qwen2VLImageProcessor(
        patch_size=14, merge_size=2, size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    )
    processor = Qwen2_5_VLProcessor(images, tokenizer, Qwen2VLVideoProcessor(), chat_template=_qwen_template())
    return Qwen2_5_VLForConditionalGeneration(config), processor


def _idefics3(tokenizer):
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor

    image = tokenizer.convert_tokens_to_ids("<image>")
    config = Idefics3Config(
        text_config=dict(model_type="llama", **_text_config(tokenizer, None)),
        vision_config=dict(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        ),  # fmt: skip
        image_token_id=image,
        scale_factor=2,
        pad_token_id=0,
    )
    images = Idefics3ImageProcessor(
        do_image_splitting=False, size={"longest_edge": 32}, max_image_size={"longest_edge": 32}
    )
    template = TEMPLATE.replace("<<PICTURE>>", "<image>")
    return (
        Idefics3ForConditionalGeneration(config),
        Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=template),
    )


def tiny_sam(seed: int = 0):
    """A random SAM for pictures of 128 pixels: three blocks of width 48, of which the second is global."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    sam = Sam(
        image_encoder=ImageEncoderViT(
            img_size=128, patch_size=16, embed_dim=48, depth=3, num_heads=3, mlp_ratio=2, out_chans=32, qkv_bias=True,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=3, global_attn_indexes=[1],
        ),
        prompt_encoder=PromptEncoder(32, (8, 8), (128, 128), mask_in_chans=4),
        mask_decoder=MaskDecoder(
            transformer_dim=32, transformer=TwoWayTransformer(2, 32, 8, 64), iou_head_depth=3, iou_head_hidden_dim=32
        ),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in sam.parameters():  # zeros at the start of training (position, relative position) hide mistakes
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return sam.eval()


def write_sam(folder: Path, seed: int = 0) -> Path:
    """Save a `tiny_sam` under segment_anything's names; returns `folder`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.contiguous() for k, v in tiny_sam(seed).state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


def overfit(folder: Path, dialogues: list[tuple], steps: int = 120) -> None:
    """Teach the model in `folder` to say exactly these replies.

    Args:
        folder: as `write_vlm` left it.
        dialogues: (photo (H, W, 3) uint8, analysis, {query: reply}) each.
    """
    from annexe_demo.model.prompted import PromptedModel, _load_vlm

    vlm, processor = _load_vlm(str(folder), torch.device("cpu"), torch.float32, None)
    processor.tokenizer.padding_side = "right"
    model = PromptedModel(vlm, processor, sam=None)
    texts, pictures, prompts = [], [], []
    for image, analysis, replies in dialogues:
        picture = model.encode(image)
        for prompt, reply in [(model.analysis_prompt(), analysis)] + [
            (model.answer_prompt(picture, analysis, query), reply) for query, reply in replies.items()
        ]:
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            messages = [{"role": "user", "content": content}]
            prompts.append(processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
            texts.append(f"{prompts[-1]}{reply}<|im_end|>")
            pictures.append(picture.image)
    batch = processor(text=texts, images=pictures, padding=True, return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    lengths = [processor(text=[p], images=[i])["input_ids"] for p, i in zip(prompts, pictures, strict=True)]
    for row, ids in zip(labels, lengths, strict=True):
        row[: len(ids[0])] = -100
    optimizer = torch.optim.AdamW(vlm.parameters(), lr=4e-3, weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    vlm.train()
    for _ in range(steps):
        loss = vlm(**batch, labels=labels).loss
        if loss.item() < 0.03:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vlm.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    assert loss.item() < 0.1, f"the tiny model has not learned its replies: loss {loss.item():.3f}"
    vlm.eval().save_pretrained(folder)
