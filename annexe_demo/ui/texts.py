"""Every word of the page in one place, so that another language is one more `Texts`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OverviewTexts:
    """The words of the explorer's glance at saved predictions."""

    heading: str
    extremes: dict[str, str]
    caption: str
    reading: str
    nothing: str
    left_out: str
    no_predictions: str
    hands: dict[str, str]
    corner: str
    confusions: dict[str, str]
    confusion_notes: dict[str, str]
    agreement: str
    sizes_heading: str
    sizes_note: str
    size_columns: tuple[str, ...]
    no_object: str


@dataclass(frozen=True)
class ResultsTexts:
    """The words of the results tab."""

    tab: str
    drawing: str
    warning_title: str
    warning: str
    warning_unknown: str
    published_heading: str
    published_source: str
    own_source: str
    measure_alt: str
    ours_heading: str
    dimension_alt: str
    table_heading: str
    columns: tuple[str, ...]
    ours: str
    model_from: str


ENGLISH_OVERVIEW = OverviewTexts(
    heading="Saved predictions at a glance",
    extremes={"worst": "Lowest IoU", "best": "Highest IoU"},
    caption="IoU {iou:.2f}",
    reading="Reading the predictions …",
    nothing="None of the {count:,} predictions could be read for this.",
    left_out="{count:,} predictions could not be read for this and are left out.",
    no_predictions="This page was started without saved predictions: --predictions names the folder of an evaluation.",
    hands={"left": "left", "right": "right", "both": "both", "none": "none"},
    corner="true ↓ model →",
    confusions={"answers": "Hands that answers mask", "analyses": "Hands that analyses name"},
    confusion_notes={
        "answers": "Queries with a target: the hands among the true targets, against those that the answer masks.",
        "analyses": "Pictures: the hands in interaction, against those that the analysis names.",
    },
    agreement="{agreed:,} of {total:,} agree ({share:.0%}).",
    sizes_heading="IoU by object size",
    sizes_note="Queries with a target, by the active object's share of the picture.",
    size_columns=("size", "mean IoU", "IoU ≥ {fits}", "queries"),
    no_object="no active object",
)

ENGLISH_RESULTS = ResultsTexts(
    tab="Results",
    drawing="Drawing the charts …",
    warning_title="Different pictures, no ranking.",
    warning="The published figures were measured on the photographs of the real benchmark, Ego-IRGBench, and ours on generated "
    "scenes. They show where the field stands; they cannot be compared directly.",
    warning_unknown="The published figures were measured on the photographs of the real benchmark, Ego-IRGBench, by their "
    "authors. Ours are on the dataset named below them; unless it is that benchmark's split with all its queries, they "
    "cannot be compared directly.",
    published_heading="Published results, and ours apart",
    published_source="Published: {source}, on {benchmark}.",
    own_source="Ours: {model}, {samples:,} pictures and {queries:,} queries of the {split} split of {data}; from {path}.",
    measure_alt="Bars: {measure}, published models and, below a line, ours; the table below has the numbers",
    ours_heading="Ours, by kind of query, object, hand and size",
    dimension_alt="Bars: our cIoU by {dimension}",
    table_heading="All figures with their sources",
    columns=(
        "Model",
        "cIoU test, %",
        "cIoU val, %",
        "Analysis METEOR",
        "Analysis CIDEr",
        "Answer METEOR",
        "Answer CIDEr",
        "Source",
    ),
    ours="ours",
    model_from="model:",
)


@dataclass(frozen=True)
class ExplorerTexts:
    """The words of the explorer tab."""

    # list
    any_value: str
    filters: dict[str, str]
    splits: dict[str, str]
    hands: dict[str, str]
    no_category: str
    kinds: dict[str, str]
    masks: dict[str, str]
    search_placeholder: str
    orders: dict[str, str]
    reset: str
    pictures: str
    building: str
    unreadable: str
    total: str
    total_one: str
    nothing_found: str
    previous_page: str
    next_page: str
    page: str
    page_of: str
    caption_iou: str
    # one picture
    back: str
    previous: str
    next: str
    position: str
    panels: dict[str, str]
    alts: dict[str, str]
    truth_none: str
    truth_unknown: str
    prediction_none: str
    prediction_saved: str
    prediction_model: str
    prediction_empty: str
    difference: dict[str, str]
    difference_none: str
    depth_none: str
    depth_not_run: str
    queries: str
    queries_hint: str
    query_predicted: str
    query_iou: str
    question_label: str
    question_placeholder: str
    run: str
    stop: str
    analysis: str
    answer: str
    reference: str
    saved: str
    model: str
    own_question: str
    scores: str
    scores_hint: str
    scores_none: str
    score_names: dict[str, str]
    definitions: dict[str, str]
    target_iou: str
    right: str
    wrong: str
    indicator: str
    calculating: str
    not_calculated: str
    need_question: str
    bad_picture: str
    overview: OverviewTexts = ENGLISH_OVERVIEW


@dataclass(frozen=True)
class Texts:
    """The page's words in one language. Fields with braces are filled by `str.format`."""

    title: str
    tagline: str
    tabs: dict[str, str]
    model_name: str
    limits_heading: str
    # photo
    photo_heading: str
    photo_hint: str
    photo_label: str
    change_photo: str
    keep_photo: str
    view_label: str
    views: dict[str, str]
    view_alts: dict[str, str]
    depth_near: str
    depth_far: str
    depth_note: str
    examples: str
    examples_hint: str
    example_caption: str
    # conversation
    conversation: str
    empty_title: str
    empty_body: str
    analysis: str
    you: str
    model: str
    question_label: str
    question_placeholder: str
    ask: str
    stop: str
    retry: str
    clear: str
    suggestions: str
    kinds: dict[str, str]
    default_questions: dict[str, str]
    found_questions: dict[str, str]
    # legend
    legend_heading: str
    legend_empty: str
    legend_no_target: str
    download: str
    nothing_to_download: str
    export_score: str
    score_title: str
    mask_name: str
    # status
    waiting: str
    opening: str
    analyzing: str
    answering: str
    finished: str
    stopped: str
    cut_off: str
    no_target: str
    no_mask: str
    indicator: str
    indicator_title: str
    # errors
    need_photo: str
    need_question: str
    nothing_to_retry: str
    out_of_memory: str
    internal_error: str
    not_recorded: str
    explorer: ExplorerTexts
    results: ResultsTexts = ENGLISH_RESULTS


ENGLISH = Texts(
    title="ANNEXE",
    tagline="Ask a first-person photo about the hands in it and what they hold. Every answer points at its pixels.",
    tabs={"demo": "Demo", "explorer": "Explorer"},
    model_name="Model: {name}",
    limits_heading="Limits",
    photo_heading="Photo",
    photo_hint="Drop a first-person photo here, paste one, or use the camera",
    photo_label="Your photo",
    change_photo="New photo",
    keep_photo="Keep this photo",
    view_label="View",
    views={"masks": "Masks", "photo": "Photo", "depth": "Depth"},
    view_alts={
        "masks": "The photo with the masks of the latest answer painted over it",
        "photo": "The photo as it was given",
        "depth": "Estimated depth of the photo, near bright and far dark",
    },
    depth_near="near",
    depth_far="far",
    depth_note="Relative depth, estimated from this one photo; it has no unit.",
    examples="Examples",
    examples_hint="Generated scenes the model was not trained on. A click runs one at once.",
    example_caption="Example {number}",
    conversation="Conversation",
    empty_title="Start with a photo",
    empty_body=(
        "The model first describes what the hands are doing, then answers your questions "
        "and paints a mask on everything that an answer names."
    ),
    analysis="Analysis",
    you="You",
    model="Answer",
    question_label="Your question",
    question_placeholder="Ask about the photo",
    ask="Ask",
    stop="Stop",
    retry="Retry",
    clear="Clear",
    suggestions="Try a question",
    kinds={"single": "One target", "multi": "Several targets", "no-target": "Perhaps nothing to find"},
    default_questions={
        "single": "Please segment the hand that is in interaction.",
        "multi": "Please segment the hands and objects in interaction.",
        "no-target": "Active {category} interacting with the {hand} hand?",
    },
    found_questions={
        "object": "Please segment the {category} in interaction.",
        "hand": "Please segment the {hand} hand.",
        "both": "Please segment the {hand} hand and the {category}.",
    },
    legend_heading="In this answer",
    legend_empty="Masks are listed here as an answer names them.",
    legend_no_target="No target for this question",
    download="Download",
    nothing_to_download="There is nothing to download yet.",
    export_score="expected quality of the mask {value:.2f}",
    score_title="How well the model expects its mask to fit",
    mask_name="mask of {label}",
    waiting="Waiting for the model …",
    opening="Reading the photo …",
    analyzing="Looking at the photo …",
    answering="Answering …",
    finished="Done in {seconds:.1f} s.",
    stopped="Stopped.",
    cut_off="The answer reached its length limit.",
    no_target="No target: the model finds nothing in this photo that the question asks for.",
    no_mask="The answer names no mask.",
    indicator="mask indicator {value:.2f}",
    indicator_title="Probability, by the model, that this photo holds a target for the question",
    need_photo="Choose a photo first: upload one or click an example.",
    need_question="Type a question first.",
    nothing_to_retry="There is nothing to repeat yet.",
    out_of_memory="The model ran out of memory on this photo. Try a smaller photo; your conversation is kept.",
    internal_error="Something went wrong inside the model. Your conversation is kept; please try again.",
    not_recorded="Photos and questions are not stored.",
    explorer=ExplorerTexts(
        any_value="Any",
        filters={
            "split": "Split",
            "category": "Object",
            "hand": "Hand",
            "kind": "Query",
            "mask": "Mask",
            "text": "Search",
            "order": "Sort by",
        },
        splits={"train": "Train", "val": "Validation", "test": "Test"},
        hands={"left": "Left", "right": "Right", "both": "Both", "none": "None"},
        no_category="None",
        kinds={"single": "One target", "multi": "Several targets", "no-target": "No target", "chat": "Plain question"},
        masks={"with": "With mask", "without": "Without mask"},
        search_placeholder="Words or a name",
        orders={"name": "Name", "worst": "Predicted IoU, lowest first", "best": "Predicted IoU, highest first"},
        reset="Clear filters",
        pictures="Pictures",
        building="Reading the annotations for filters and search: {done:,} of {total:,} …",
        unreadable="{count:,} could not be read and are left out.",
        total="{total:,} pictures",
        total_one="1 picture",
        nothing_found="No picture fits these filters.",
        previous_page="Previous page",
        next_page="Next page",
        page="Page",
        page_of="of {count:,}",
        caption_iou="{name} · IoU {iou:.2f}",
        back="All pictures",
        previous="Previous",
        next="Next",
        position="{split} · {number:,} of {total:,}",
        panels={
            "photo": "Photo",
            "truth": "Ground truth",
            "prediction": "Prediction",
            "difference": "Difference",
            "depth_truth": "Depth, ground truth",
            "depth_prediction": "Depth, prediction",
        },
        alts={
            "photo": "The photo",
            "truth": "The photo with the true masks of the chosen query",
            "prediction": "The photo with the masks that the model predicted",
            "difference": "Where predicted and true masks agree and differ",
            "depth_truth": "Measured depth, near bright and far dark",
            "depth_prediction": "Depth that the model estimated, near bright and far dark",
        },
        truth_none="This query has no mask.",
        truth_unknown="Not known for a question of your own.",
        prediction_none="Run the model to see what it predicts.",
        prediction_saved="Saved prediction",
        prediction_model="The model, just now",
        prediction_empty="No mask predicted",
        difference={"agreed": "In both", "missed": "Only in the truth", "extra": "Only predicted"},
        difference_none="Needs a prediction and a ground truth.",
        depth_none="This picture has no depth file.",
        depth_not_run="Run the model to see its depth.",
        queries="Queries of this picture",
        queries_hint="{count} with their true answers. Choose one, or type your own.",
        query_predicted="saved prediction",
        query_iou="predicted IoU {iou:.2f}",
        question_label="Query",
        question_placeholder="A query about this picture",
        run="Run the model",
        stop="Stop",
        analysis="Analysis",
        answer="Answer",
        reference="Ground truth",
        saved="Saved prediction",
        model="Model",
        own_question="A question of your own has no true answer.",
        scores="Scores of this picture",
        scores_hint="A click on a score tells what it is.",
        scores_none="Scores appear when there is a prediction.",
        score_names={
            "iou": "Mask IoU",
            "no_target": "No target recognised",
            "indicator": "Mask indicator",
            "analysis_meteor": "Analysis METEOR",
            "analysis_rouge_l": "Analysis ROUGE-L",
            "answer_meteor": "Answer METEOR",
            "answer_rouge_l": "Answer ROUGE-L",
            "depth_mae": "Depth error",
        },
        definitions={
            "iou": "Pixels in both the predicted and the true mask, divided by the pixels in either; all targets of the "
            "query taken together. 0 to 1, higher is better.",
            "no_target": "The query has no target in this picture: 1 when the model says so, 0 when it masks something.",
            "target_iou": "The same for one target. A predicted target stands for the true one with its name; objects left "
            "over are paired in their order, hands never.",
            "indicator": "The model's own probability that the query has a target in this picture. Below 0.5 it masks "
            "nothing.",
            "meteor": "METEOR 1.5 of this one sentence against the true one: words matched by form, stem, synonym or "
            "paraphrase, less a penalty for their order. 0 to 1, higher is better.",
            "rouge_l": "ROUGE-L of this one sentence against the true one: F-measure (beta 1.2) of the longest common "
            "subsequence of words. 0 to 1, higher is better. (CIDEr is left out: it is defined for a whole corpus and is "
            "0 for one sentence.)",
            "depth_mae": "Mean absolute error of the depth, each map scaled to 0 to 1 over this picture's known pixels. "
            "Lower is better.",
        },
        target_iou="IoU of {label}",
        right="right",
        wrong="wrong",
        indicator="{value:.2f} ({verdict})",
        calculating="calculating …",
        not_calculated="not asked for",
        need_question="Choose or type a query first.",
        bad_picture="This picture cannot be shown: {reason}",
    ),
)
