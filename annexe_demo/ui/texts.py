"""Every word of the page in one place, so that another language is one more `Texts`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    """The page's words in one language. Fields with braces are filled by `str.format`."""

    title: str
    tagline: str
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
    # legend
    legend_heading: str
    legend_empty: str
    legend_no_target: str
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


ENGLISH = Texts(
    title="ANNEXE",
    tagline="Ask a first-person photo about the hands in it and what they hold. Every answer points at its pixels.",
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
        "no-target": "Active {category} interacting with the left hand?",
    },
    legend_heading="In this answer",
    legend_empty="Masks are listed here as an answer names them.",
    legend_no_target="No target for this question",
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
)
