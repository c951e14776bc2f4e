"""Mutated signature headers: a thousand here, 50,000 in `make soak-webhooks`."""

from tests.webhook_mutations import MOST_BYTES, good, is_good, run


def test_f140_thousand_mutated_headers_are_accepted_or_refused_correctly():
    tally = run(1_000, seed=1)

    assert tally.wrong == []
    assert tally.peak < MOST_BYTES
    # Some are left whole by their mutation, most are not.
    assert 10 < tally.accepted < 500


def test_independent_reader_distinguishes_good_and_bad_headers():
    class First:
        def choice(self, options):
            return options[0]

        def sample(self, options, count):
            return options[:count]

    header = good(First())

    assert is_good(header)
    assert not is_good(header.replace("v1", "v0"))
    assert not is_good(header[:-1] + ("0" if header[-1] != "0" else "1"))
