import numpy as np
import pytest
import torch

from annexe_demo.data.training import batches, collate, make_example
from annexe_demo.model import AnnexeConfig, AnnexeModel
from annexe_demo.model.mask_generation import QUERY_KINDS
from annexe_demo.model.text_generation import (
    ANSWER,
    MSK,
    PHRASE,
    PHRASE_END,
    SPECIAL_TOKENS,
    encode_answer,
    encode_query,
    encode_text,
)
from tests.tiny_model import TINY


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return AnnexeModel(TINY).eval()


@pytest.fixture
def batch(data, tokenizer):
    rng = np.random.default_rng(0)
    return collate([make_example(data, i, (96, 160), rng, TINY, tokenizer, 5, training=False) for i in range(3)])


def test_features_and_visual_tokens_have_the_documented_shapes(model):
    features, visual, facts = model.encode_image(torch.zeros(2, 3, 96, 160))
    assert features.stride4.shape[2:] == features.regions.shape[2:] == features.depth.shape[2:] == (24, 40)
    assert features.stride8.shape[2:] == features.categories.shape[2:] == features.colors.shape[2:] == (12, 20)
    assert features.stride16.shape == (2, TINY.width, 6, 10)
    assert features.regions.shape[1] == 4 and features.categories.shape[1] == 17 and features.colors.shape[1] == 15
    assert visual.shape == (2, model.visual_tokens.count, TINY.hidden_size)
    assert facts.shape == (2, model.layout.size) and 0 <= facts.min() and facts.max() <= 1
    masks, scores = model.ground(features[:1], torch.zeros(3, TINY.hidden_size))
    assert masks.shape == (3, 24, 40) and scores.shape == (3,)


@pytest.mark.parametrize("shape", [(1, 3, 100, 160), (3, 96, 160), (1, 4, 96, 160)])
def test_pixels_of_another_shape_are_refused(model, shape):
    with pytest.raises(ValueError, match="multiples of 32 but got"):
        model.encode_image(torch.zeros(shape))


@pytest.mark.parametrize(
    ("loss", "reached", "spared"),
    [
        (
            "des",
            ["text_generation", "visual_tokens", "ground_image_encoder"],
            ["mask_indicator", "to_prompt", "interaction_head"],
        ),
        ("ans", ["text_generation", "visual_tokens", "ground_image_encoder", "mask_indicator"], ["to_prompt"]),
        ("cls", ["mask_indicator", "text_generation"], ["to_prompt", "ground_image_encoder"]),
        ("pxl", ["pixel_grounding_decoder", "to_prompt", "text_generation", "mask_indicator"], ["interaction_head"]),
        ("dep", ["ground_image_encoder"], ["text_generation", "mask_indicator", "to_prompt"]),
        ("int", ["interaction_head", "ground_image_encoder"], ["text_generation", "visual_tokens"]),
    ],
)
def test_each_loss_trains_its_modules(model, batch, loss, reached, spared):
    model.zero_grad()
    model(batch)[loss].backward()

    def gradient(name):
        return sum(float(p.grad.abs().sum()) for p in getattr(model, name).parameters() if p.grad is not None)

    assert all(np.isfinite(gradient(name)) and gradient(name) > 0 for name in reached)
    assert all(gradient(name) == 0 for name in spared)


def test_every_parameter_learns_from_some_loss(model, batch):
    model.zero_grad()
    sum(model(batch).values()).backward()
    # Of segment_anything's decoder, the tokens and kernels of its other mask choices are not used with one prompt.
    unused = ("mask_tokens", "output_hypernetworks_mlps.1")
    idle = [n for n, p in model.named_parameters() if p.grad is None and not any(u in n for u in unused)]
    assert idle == []


@torch.no_grad()
def test_packed_queries_do_not_see_each_other_and_match_generation_step_by_step(model, batch):
    from transformers import DynamicCache

    _, visual, facts = model.encode_image(batch.pixels)
    packed, kinds = model._text_states(visual, facts, batch)
    picture, query = 1, 3
    of = lambda number: batch.segments[picture] == number  # noqa: E731
    one = visual[picture][None]
    prefix = torch.cat([one, model.embed_text(batch.ids[picture][of(0)][None], one)], 1)
    cache = DynamicCache(config=model.text_generation.language_model.config)
    model.text_generation(prefix, cache=cache)
    ids = batch.ids[picture][of(query)][None]
    embeddings = model.embed_text(ids, one)
    # The verdict, made from the words up to <answer>, is added from there on.
    asked = int((ids[0] == ANSWER).nonzero()) + 1
    words = model.text_generation.embed(ids[:, :asked])
    logits, found = model.mask_indicator(words, facts[picture][None])
    number = [tuple(q) for q in batch.queries.tolist()].index((picture, int(of(query).nonzero()[0]) + asked - 1))
    kind = batch.targets[number] if batch.targets[number] >= 0 else torch.tensor(QUERY_KINDS.index("plain question"))
    embeddings[:, asked - 1 :] += model.mask_indicator.verdict(found, kind[None])
    alone = model.text_generation(embeddings, cache=cache)[0]
    torch.testing.assert_close(packed[picture][of(query)], alone, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(kinds[number], logits[0], atol=1e-4, rtol=1e-3)


def test_a_saved_model_loads_with_the_same_outputs(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path, tokenizer)
    again = AnnexeModel.from_pretrained(tmp_path)
    assert again.config == model.config
    pixels = torch.rand(1, 3, 96, 160) * 2 - 1
    with torch.no_grad():
        a, b = model.encode_image(pixels), again.encode_image(pixels)
    torch.testing.assert_close(a[0].regions, b[0].regions, atol=0.02, rtol=0.02)
    assert (tmp_path / "model.safetensors").stat().st_size < 2.2 * sum(p.numel() for p in model.parameters())


def test_a_folder_without_weights_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        AnnexeModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="model_type 'annexe'"):
        AnnexeModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "annexe", "wings": 2}')
    with pytest.raises(ValueError, match="wings"):
        AnnexeConfig.load(tmp_path / "config.json")


def test_special_tokens_in_a_users_text_stay_characters(tokenizer):
    ids = encode_text(tokenizer, " say <MSK> and <eos> twice <p>x</p>")
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))
    assert tokenizer.decode(ids) == " say <MSK> and <eos> twice <p>x</p>"


def test_any_script_can_be_encoded(tokenizer):
    assert tokenizer.decode(encode_text(tokenizer, "右手 拿着 什么? 🙂")) == "右手 拿着 什么? 🙂"


def test_queries_are_read_alike_however_they_are_typed(tokenizer):
    assert encode_query(tokenizer, "Segment the  RIGHT hand. ") == encode_query(tokenizer, "segment the right hand")


def test_answers_mark_the_words_of_each_target(tokenizer):
    ids = encode_answer(tokenizer, "Here are the left hand <MSK_0> and the mug <MSK_1>.", ["left hand", "mug"])
    marks = [
        (ids.index(PHRASE), ids.index(PHRASE_END)),
        (len(ids) - 1 - ids[::-1].index(PHRASE), len(ids) - 1 - ids[::-1].index(PHRASE_END)),
    ]
    assert [tokenizer.decode(ids[a + 1 : b]).strip() for a, b in marks] == ["left hand", "mug"]
    assert ids.count(MSK) == 2
    assert tokenizer.decode([i for i in ids if i >= len(SPECIAL_TOKENS)]) == "Here are the left hand  and the mug ."
    with pytest.raises(ValueError, match="must stand before"):
        encode_answer(tokenizer, "Here it is <MSK_0>.", ["mug"])


def test_training_batches_have_true_masks_and_texts(data, tokenizer):
    stream = batches(data, TINY, tokenizer, 4, 4, seed=1)
    for _ in range(3):
        batch = next(stream)
        b, _, h, w = batch.pixels.shape
        assert batch.pixels.min() >= -1 and batch.pixels.max() <= 1
        assert batch.regions.shape == (b, h // 4, w // 4) and batch.masks.shape[1:] == (h // 4, w // 4)
        assert (batch.ids[batch.prompts[:, 0], batch.prompts[:, 1]] == MSK).all()
        for (picture, at), mask in zip(batch.prompts.tolist(), batch.masks, strict=True):
            before = batch.ids[picture, :at].tolist()
            start = len(before) - 1 - before[::-1].index(PHRASE)
            label = tokenizer.decode([i for i in before[start + 1 :] if i >= len(SPECIAL_TOKENS)]).strip()
            value = {"left hand": 1, "right hand": 2}.get(label.split(" is")[0], 3)
            assert torch.equal(mask, batch.regions[picture] == value), label
