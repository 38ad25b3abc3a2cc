"""Colours and shapes as a Gradio theme: warm neutrals, one accent, the system's own fonts (nothing is fetched)."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, sizes

SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

# Light and dark value of every colour; style.css knows them as --paper, --surface, ...
PALETTE = {
    "paper": ("#f7f3ec", "#191613"),
    "surface": ("#fffdf9", "#221e1a"),
    "sunken": ("#efe9df", "#2b2621"),
    "line": ("#ddd3c4", "#3d362f"),
    "ink": ("#2a2520", "#f1eae0"),
    "muted": ("#665c51", "#b5a999"),
    "accent": ("#a8431f", "#f0926b"),
    "accent-strong": ("#8c3616", "#f7ac8c"),
    "on-accent": ("#ffffff", "#2a1409"),
    "danger": ("#9b1c2e", "#ff9ea6"),
}

_STONE = colors.Color(
    name="warm",
    c50="#f7f3ec", c100="#efe9df", c200="#ddd3c4", c300="#c8bbaa", c400="#a0927f", c500="#7d7163",
    c600="#665c51", c700="#4a4239", c800="#3d362f", c900="#221e1a", c950="#191613",
)  # fmt: skip
_CLAY = colors.Color(
    name="clay",
    c50="#fdf4ef", c100="#fae4d9", c200="#f5c9b4", c300="#f7ac8c", c400="#f0926b", c500="#d2643a",
    c600="#a8431f", c700="#8c3616", c800="#6d2b13", c900="#4d2010", c950="#2a1409",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """The page's theme, light and dark."""
    light = {name: pair[0] for name, pair in PALETTE.items()}
    dark = {name: pair[1] for name, pair in PALETTE.items()}

    def both(**values: str) -> dict[str, str]:
        return {k: light[v] for k, v in values.items()} | {f"{k}_dark": dark[v] for k, v in values.items()}

    base = gr.themes.Base(
        primary_hue=_CLAY, secondary_hue=_CLAY, neutral_hue=_STONE,
        radius_size=sizes.radius_md, spacing_size=sizes.spacing_md, text_size=sizes.text_md,
        font=SANS, font_mono=MONO,
    )  # fmt: skip
    return base.set(
        block_border_width="1px",
        block_shadow="none",
        block_shadow_dark="none",
        button_large_radius="10px",
        button_small_radius="8px",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        input_shadow="none",
        input_shadow_focus="none",
        **both(
            body_background_fill="paper",
            body_text_color="ink",
            body_text_color_subdued="muted",
            background_fill_primary="surface",
            background_fill_secondary="sunken",
            block_background_fill="surface",
            block_border_color="line",
            block_label_background_fill="surface",
            block_label_text_color="muted",
            block_title_text_color="muted",
            border_color_primary="line",
            color_accent_soft="sunken",
            input_background_fill="surface",
            input_border_color="line",
            input_border_color_focus="accent",
            input_placeholder_color="muted",
            button_primary_background_fill="accent",
            button_primary_background_fill_hover="accent-strong",
            button_primary_border_color="accent",
            button_primary_text_color="on-accent",
            button_secondary_background_fill="surface",
            button_secondary_background_fill_hover="sunken",
            button_secondary_border_color="line",
            button_secondary_text_color="ink",
            link_text_color="accent",
            link_text_color_hover="accent-strong",
        ),
    )


def palette_css() -> str:
    """The palette as CSS variables."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in PALETTE.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in PALETTE.items())
    return f":root{{{light}}}.dark{{{dark}}}"
