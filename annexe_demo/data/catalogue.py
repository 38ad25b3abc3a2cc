"""All that the explorer knows of a folder: its index, its thumbnails, saved predictions, and one picture with its pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from annexe_demo.data.egoirgbench import DatasetError, Group, Question, Sample
from annexe_demo.data.index import DatasetIndex, Page, cache_folder
from annexe_demo.data.predictions import PREDICTIONS_FILE, PredictedAnswer, PredictedPicture, Predictions
from annexe_demo.data.thumbnails import Thumbnails
from annexe_demo.overview import Overview, summarize


@dataclass(frozen=True)
class OpenPicture:
    """One picture of the folder, with its pixels.

    Attributes:
        split, sample: what it is.
        image: the photo, (H, W, 3) uint8 RGB.
        index_map: (H, W) uint8, the value of each target in ``Group.masks_idx``.
        depth: (H, W) float32 in the file's unit; None without a file.
        prediction: what a model was saved to have said of it; None without.
    """

    split: str
    sample: Sample
    image: np.ndarray
    index_map: np.ndarray
    depth: np.ndarray | None
    prediction: PredictedPicture | None

    @cached_property
    def queries(self) -> list[tuple[Group, Question]]:
        """Every wording of every query, in the file's order."""
        return [(group, question) for group in self.sample.groups for question in group.questions]

    def group_of(self, query: str) -> Group | None:
        """The group that a query belongs to; None for one that is not among the picture's own."""
        return next((group for group, question in self.queries if question.query == query), None)

    def predicted(self, query: str) -> PredictedAnswer | None:
        """The saved answer to a query."""
        return None if self.prediction is None else self.prediction.answer_to(query)


class Catalogue:
    """The pictures of one folder.

    Args:
        root: folder in the layout of Ego-IRGBench.
        predictions: file or folder that `annexe_demo.evaluate` wrote; by default ``predictions.jsonl`` in `root`, if any.
        cache_dir: where index and thumbnails are kept; by default `annexe_demo.data.index.cache_folder`.

    Raises:
        DatasetError: the folder or the predictions cannot be used; the message says why in a sentence.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        predictions: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if predictions is None and (beside := Path(root) / PREDICTIONS_FILE).is_file():
            predictions = beside
        cache = Path(cache_dir) if cache_dir is not None else cache_folder(root)
        self.predictions = None if predictions is None else Predictions(predictions)
        self.index = DatasetIndex(root, self.predictions.ious if self.predictions else None, cache)
        self.thumbnails = Thumbnails(cache / "thumbnails")

    @cached_property
    def overview(self) -> Overview:
        """What the saved predictions come to; empty without any. Reads all of them at its first use."""
        return summarize(self.predictions.records()) if self.predictions else Overview()

    def thumbnails_of(self, page: Page) -> list[Path]:
        """The thumbnail of each row."""
        return self.thumbnails.paths([self.index.photo_path(row.split, row.name) for row in page.rows])

    def open(self, split: str, name: str) -> OpenPicture:
        """Read one picture.

        Raises:
            DatasetError: there is no such picture, or one of its files is missing, malformed or of another size.
        """
        sample = self.index.load(split, name)
        image, index_map, depth = sample.load_image(), sample.load_mask(), sample.load_depth()
        for what, pixels in (("index map", index_map), ("depth", depth)):
            if pixels is not None and pixels.shape != image.shape[:2]:
                raise DatasetError(
                    f"the {what} of {name!r} must be of the photo's size {image.shape[:2]} but is {pixels.shape}"
                )
        prediction = self.predictions.load(name) if self.predictions else None
        if prediction is not None and any(
            g.mask.shape != image.shape[:2] for answer in prediction.answers for g in answer.groundings
        ):
            raise DatasetError(f"the predicted masks of {name!r} must be of the photo's size {image.shape[:2]}")
        return OpenPicture(split, sample, image, index_map, depth, prediction)
