import numpy as np

from annexe_demo.data.training import MAX_UNFAMILIAR, make_example, strew, unfamiliar_tokens
from annexe_demo.model.text_generation import ANSWER, QUERY, SPECIAL_TOKENS, encode_query
from tests.tiny_model import TINY


def test_unfamiliar_tokens_are_in_no_query(data, tokenizer):
    unfamiliar = unfamiliar_tokens(data, tokenizer)
    assert unfamiliar and min(unfamiliar) >= len(SPECIAL_TOKENS)
    for group in data[0].groups:
        for question in group.questions:
            assert not set(unfamiliar) & set(encode_query(tokenizer, question.query))


def test_strewn_tokens_leave_the_query_readable():
    rng = np.random.default_rng(0)
    ids, unfamiliar = list(range(100, 108)), list(range(500, 600))
    lengths = set()
    for _ in range(200):
        strewn = strew(ids, unfamiliar, rng)
        assert [i for i in strewn if i < 500] == ids
        lengths.add(len(strewn) - len(ids))
    assert lengths == set(range(MAX_UNFAMILIAR + 1))
    assert strew(ids, [], rng) == ids


def test_only_training_strews_and_rewrites(data, tokenizer):
    def queries(training, unfamiliar=()):
        rng = np.random.default_rng(0)
        ids = make_example(data, 0, (96, 160), rng, TINY, tokenizer, 6, training, unfamiliar).text["ids"]
        starts = [k for k, i in enumerate(ids) if i == QUERY]
        return {tokenizer.decode(ids[k + 1 : ids.index(ANSWER, k)]).strip() for k in starts}

    written = {tokenizer.decode(encode_query(tokenizer, q.query)).strip() for g in data[0].groups for q in g.questions}
    assert queries(training=False) <= written
    assert not queries(training=True, unfamiliar=unfamiliar_tokens(data, tokenizer)) <= written


def test_texts_alone_need_no_pixels(data, tokenizer):
    example = make_example(data, 0, (96, 160), np.random.default_rng(0), TINY, tokenizer, 6, look=False)
    assert example.pixels.shape == (3, 0, 0)
    assert example.regions.any() and len(example.interaction) and len(example.queries)
