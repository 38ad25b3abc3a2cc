import pytest
import torch

from annexe_demo.average import average, main
from annexe_demo.model import AnnexeModel
from tests.tiny_model import TINY


def weights(value):
    return {"a.weight": torch.full((2, 2), value), "b.weight": torch.full((3,), value), "b.count": torch.tensor(7)}


def test_weights_lie_between_those_of_both():
    mixed = average(weights(1.0), weights(3.0), 0.25)
    assert mixed["a.weight"].tolist() == [[1.5, 1.5]] * 2 and mixed["b.weight"].tolist() == [1.5] * 3
    assert int(mixed["b.count"]) == 7


def test_only_the_named_modules_are_averaged():
    mixed = average({"a.weight": torch.zeros(2, 2)}, weights(2.0), 0.5, ["a"])
    assert mixed["a.weight"].tolist() == [[1.0, 1.0]] * 2 and mixed["b.weight"].tolist() == [2.0] * 3


@pytest.mark.parametrize(
    ("before", "share", "modules", "message"),
    [
        (weights(0.0), 1.5, None, "0 to 1 but got 1.5"),
        (weights(0.0), 0.5, ["c"], "among a, b but got c"),
        ({"a.weight": torch.zeros(3)}, 0.5, ["a"], "a.weight differs"),
        ({}, 0.5, None, "a.weight differs"),
    ],
)
def test_models_that_do_not_fit_are_refused(before, share, modules, message):
    with pytest.raises(ValueError, match=message):
        average(before, weights(1.0), share, modules)


def test_folders(tmp_path, tokenizer, capsys):
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(AnnexeModel(TINY))
        models[-1].save_pretrained(tmp_path / str(seed), tokenizer)
    folders = [str(tmp_path / "0"), str(tmp_path / "1")]
    assert main([*folders, "--share", "0.25", "--out", str(tmp_path / "out"), "--modules", "interaction_head"]) == 0
    got, (before, after) = AnnexeModel.from_pretrained(tmp_path / "out"), models
    expected = before.interaction_head.queries.lerp(after.interaction_head.queries, 0.25)
    torch.testing.assert_close(got.interaction_head.queries, expected, atol=1e-4, rtol=1e-2)
    torch.testing.assert_close(got.visual_tokens.kind, after.visual_tokens.kind, atol=1e-4, rtol=1e-2)
    assert main([folders[0], str(tmp_path / "none"), "--out", str(tmp_path / "no")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "no").exists()
