"""Text generation module: the compact multimodal language model, its tokens and its tokenizer.

One sequence holds a whole conversation about one picture:

    visual tokens  <analysis> analysis <eos>  <query> query <answer> answer <eos>  <query> ...

The analysis stands before every query, so each answer is conditioned on it (the lesson of EARL), and picture and
analysis are computed once. Queries do not see each other. In an answer, ``<p>right hand</p><MSK>`` marks the words that
name a target and the target itself; the marks never reach a reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from .interaction import FactLayout, RegionSummary, region_size
from .mask_generation import GroundFeatures

SPECIAL_TOKENS = ("<pad>", "<eos>", "<analysis>", "<query>", "<answer>", "<p>", "</p>", "<MSK>")
PAD, EOS, ANALYSIS, QUERY, ANSWER, PHRASE, PHRASE_END, MSK = range(len(SPECIAL_TOKENS))
GRID = 8  # the picture is pooled to GRID x GRID visual tokens, whatever its shape


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE over `texts`. Ids 0 to 7 are `SPECIAL_TOKENS`; any text can be encoded, none is unknown."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", clean_up_tokenization_spaces=False
    )


def encode_text(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Ids of plain text. Special tokens written by a user stay the characters that they are."""
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    return backend.encode(text, add_special_tokens=False).ids


def encode_query(tokenizer: PreTrainedTokenizerFast, query: str) -> list[int]:
    """Ids of a query as the model reads it: people write with and without capitals and full stops."""
    plain = re.sub(r"\s+", " ", query).strip().lower().rstrip(" .!?;:,")
    return encode_text(tokenizer, " " + plain)


def encode_answer(tokenizer: PreTrainedTokenizerFast, answer: str, tokens: Iterable[str]) -> list[int]:
    """Ids of a reference answer, each ``<MSK_k>`` as MSK and the words of tokens[k] before it between phrase marks.

    Raises:
        ValueError: the words of tokens[k] do not stand before ``<MSK_k>``.
    """
    ids: list[int] = []
    names = list(tokens)
    start = 0
    for match in re.finditer(r"<MSK_(\d+)>", answer):
        k, text = int(match[1]), answer[start : match.start()]
        at = text.lower().rfind(names[k].lower()) if k < len(names) and names[k] else -1
        if at < 0:
            raise ValueError(f"tokens[{k}] must stand before <MSK_{k}> but got tokens {names} for {answer!r}")
        end = at + len(names[k])
        ids += encode_text(tokenizer, text[:at].rstrip(" ") if at and text[at - 1] == " " else text[:at])
        space = " " if at and text[at - 1] == " " else ""
        ids += [
            PHRASE,
            *encode_text(tokenizer, space + text[at:end]),
            PHRASE_END,
            *encode_text(tokenizer, text[end:]),
            MSK,
        ]
        start = match.end()
    return ids + encode_text(tokenizer, answer[start:])


class VisualTokens(nn.Module):
    """Ground features -> the tokens that stand for the picture in front of the text.

    GRID x GRID tokens say what is where; one token for each region (hand, active object) says what it is, pooled over
    the pixels that the region head gives it: small objects would drown in the grid. The last token sums the interaction
    up: the facts that the interaction head names, as a mixture of learned words, and where and how large each region is.
    It is also added to every text token (`AnnexeModel.embed_text`). A language model trained from scratch for an hour
    does not learn to look it up by attention alone; compared with each word as it is read, it does.
    """

    def __init__(self, width: int, layout: FactLayout, hidden_size: int):
        super().__init__()
        labels = layout.categories + layout.colors
        self.grid = nn.Sequential(nn.LayerNorm(width + labels + 5), nn.Linear(width + labels + 5, hidden_size))
        region = region_size(width, layout)
        self.region = nn.Sequential(
            nn.LayerNorm(region), nn.Linear(region, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size)
        )
        self.place = nn.Parameter(torch.randn(GRID * GRID, hidden_size) * 0.02)
        self.layout = layout
        self.fact_words = nn.Linear(layout.size + 9, hidden_size, bias=False)
        self.region_places = nn.Linear(3 * 4, hidden_size)
        self.kind = nn.Parameter(torch.randn(4, hidden_size) * 0.02)
        self.count = GRID * GRID + 4
        # As long as a token's embedding, or the words that they are added to would drown.
        for layer in (self.fact_words, self.region_places):
            nn.init.normal_(layer.weight, std=0.03)
        nn.init.zeros_(self.region_places.bias)

    def forward(self, f: GroundFeatures, regions: RegionSummary, facts: Tensor) -> Tensor:
        """`GroundFeatures` of B pictures, their regions and facts (B, layout.size) -> (B, count, hidden)."""
        pool = lambda x: F.adaptive_avg_pool2d(x.float(), GRID).flatten(2).transpose(1, 2)  # noqa: E731
        grid = torch.cat([pool(f.stride16), pool(regions.labels), pool(regions.probabilities), pool(f.depth)], -1)
        tokens = self.region(regions.features) + self.kind[:3]
        return torch.cat([self.grid(grid) + self.place, tokens, self.summary(facts, regions.places)], 1)

    def summary(self, facts: Tensor, places: Tensor) -> Tensor:
        """The last token alone, (B, 1, hidden), from facts (B, layout.size) and places (B, 12)."""
        facts = torch.cat([facts, self.layout.pairs(facts)], -1)
        return (self.fact_words(facts) + self.region_places(places) + self.kind[3])[:, None]


class CompactTextGeneration(nn.Module):
    """A small Llama over visual tokens and text, trained from scratch."""

    def __init__(self, vocab_size: int, hidden_size: int, layers: int, heads: int):
        super().__init__()
        self.language_model = LlamaModel(
            LlamaConfig(
                vocab_size=vocab_size,
                hidden_size=hidden_size,
                intermediate_size=int(hidden_size * 8 / 3) // 32 * 32,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=heads,
                max_position_embeddings=1024,
                pad_token_id=PAD,
                eos_token_id=EOS,
                bos_token_id=None,
            )
        )

    def embed(self, ids: Tensor) -> Tensor:
        """(..., T) ids -> (..., T, hidden)."""
        return self.language_model.embed_tokens(ids)

    def logits(self, states: Tensor) -> Tensor:
        """(..., hidden) -> (..., vocab). Input and output embeddings are tied."""
        return F.linear(states, self.language_model.embed_tokens.weight)

    def forward(self, embeddings: Tensor, cache=None, attention_mask=None, position_ids=None) -> Tensor:
        """States (B, T, hidden) of new embeddings (B, T, hidden); `cache`, where given, is extended in place."""
        return self.language_model(
            inputs_embeds=embeddings,
            past_key_values=cache,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=cache is not None,
        ).last_hidden_state
