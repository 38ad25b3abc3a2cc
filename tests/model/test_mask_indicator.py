import torch
import torch.nn.functional as F

from annexe_demo.model.mask_generation import QUERY_KINDS, MaskIndicator

HIDDEN, FACTS, WORDS = 32, 6, 12


def test_it_learns_whether_the_thing_that_a_query_names_is_there():
    """Word k asks for fact k. Which facts are true is drawn anew each time: nothing can be learned from the word alone."""
    torch.manual_seed(0)
    words = torch.randn(WORDS, HIDDEN)
    indicator = MaskIndicator(HIDDEN, FACTS)
    optimizer = torch.optim.AdamW(indicator.parameters(), lr=3e-3)

    def draw(count):
        facts = torch.randint(0, 2, (count, FACTS)).float()
        asked = torch.randint(0, FACTS, (count,))
        ids = torch.randint(FACTS, WORDS, (count, 5))  # words that name nothing
        ids[torch.arange(count), torch.randint(0, 5, (count,))] = asked
        return words[ids], facts, facts.gather(1, asked[:, None])[:, 0].long()

    for _ in range(300):
        states, facts, true = draw(64)
        loss = F.cross_entropy(indicator(states, facts)[0], true)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    states, facts, true = draw(500)
    assert (indicator(states, facts)[0].argmax(-1) == true).float().mean() > 0.95


def test_padding_is_not_read():
    torch.manual_seed(0)
    indicator = MaskIndicator(HIDDEN, FACTS).eval()
    states, facts = torch.randn(2, 4, HIDDEN), torch.rand(2, FACTS)
    padded = torch.cat([states, torch.randn(2, 3, HIDDEN)], 1)
    where = torch.arange(7).expand(2, -1) < 4
    for alone, among in zip(indicator(states, facts), indicator(padded, facts, where), strict=True):
        torch.testing.assert_close(alone, among)


def test_the_answer_is_told_another_verdict_for_each_kind():
    torch.manual_seed(0)
    indicator = MaskIndicator(HIDDEN, FACTS).eval()
    logits, found = indicator(torch.randn(1, 4, HIDDEN).expand(3, -1, -1), torch.rand(1, FACTS).expand(3, -1))
    assert logits.shape == (3, len(QUERY_KINDS)) and found.shape == (3, HIDDEN)
    verdicts = indicator.verdict(found, torch.arange(3))
    assert verdicts.shape == (3, HIDDEN) and len(verdicts.unique(dim=0)) == 3
