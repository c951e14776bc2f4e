"""Every error can be pickled and copied, prints its facts, and is in the tree."""

import copy
import inspect
import pickle

import pytest

from persona_share import errors
from persona_share.errors import Attempt, ConfigurationError, PersonaError, Phase
from persona_share.model.scope import Scope


SENT = {
    Phase.NOT_SENT: "Nothing was sent.",
    Phase.AMBIGUOUS: "The request was sent, but no usable response arrived.",
    Phase.ANSWERED: "",
}
TRAIL = (
    Attempt(Phase.AMBIGUOUS, "reset", delay=0.25),
    Attempt(Phase.ANSWERED, "503", 503, "req_1"),
)
FACTS = {
    "operation": "GET /inquiries/{inquiry-id}",
    "phase": Phase.ANSWERED,
    "attempts": TRAIL,
    "status": 503,
    "request_id": "req_1",
    "retry_after": 7.0,
    "advice": "Do this.",
}
# Parameters that only some errors have; add new ones here.
FURTHER = {
    "details": "d",
    "environment_id": "env_1",
    "idempotency_key": "key-1",
    "last_status": "pending",
    "missing": "inquiry.read:inq_1",
    "organization_id": "org_1",
    "pid": 4321,
    "pointer": "/data",
    "reason": "expired",
    "reconcile": "inquiries.retrieve(id)",
    "refused": Scope.read("inq_1"),
    "seconds": 901.0,
    "share_token_id": "cnst_1",
    "title": "t",
    "waiting_for": "service",
}


def tree(kind=PersonaError):
    """Return all classes of errors, the root first."""
    found = [kind]
    for each in kind.__subclasses__():
        found += tree(each)
    return found


EVERY = sorted(set(tree()), key=lambda kind: kind.__name__)


def made(kind):
    """Return an error with every fact that its class knows."""
    known = set()
    for each in kind.__mro__[: kind.__mro__.index(PersonaError) + 1]:
        known |= set(each.__annotations__)
        if "__init__" in vars(each):
            known |= set(inspect.signature(each.__init__).parameters)
    facts = {name: fact for name, fact in (FACTS | FURTHER).items() if name in known}
    return kind("it went wrong", **facts)


def test_every_error_is_in_the_tree():
    public = {kind for kind in EVERY if kind.__module__ == errors.__name__}
    assert len(public) > 45
    for kind in public:
        assert f" {kind.__name__} " in f"{errors.__doc__} ".replace("\n", " ")


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_error_keeps_every_attribute_when_pickled(kind):
    error = made(kind)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 — our own
        assert type(twin) is kind
        assert twin.__dict__ == error.__dict__
        assert (str(twin), twin.args) == (str(error), error.args)


def test_unknown_argument_is_refused_when_an_error_is_made():
    with pytest.raises(TypeError, match="ServerError takes no argument 'colour'"):
        errors.ServerError("it went wrong", colour="red")


def test_signature_shows_the_arguments_of_an_error():
    parameters = inspect.signature(errors.SignatureError).parameters

    assert parameters["reason"].default is inspect.Parameter.empty
    assert parameters["status"].default is None


def test_required_argument_is_named_when_it_is_missing():
    with pytest.raises(TypeError, match="CodeSourceError needs the argument 'reason'"):
        errors.CodeSourceError("it went wrong", scope="inquiry.read:inq_1")


def test_argument_of_none_stands_for_the_default_of_the_class():
    error = errors.ConnectError("it went wrong", phase=None, advice=None, status=None)

    assert (error.phase, error.status) == (Phase.NOT_SENT, None)
    assert error.advice == errors.ConnectError.advice


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_copies_are_equal_and_separate(kind):
    error = made(kind)
    try:
        raise error
    except PersonaError as caught:
        for twin in (copy.copy(caught), copy.deepcopy(caught), caught.fresh()):
            assert twin is not error
            assert twin.__dict__ == error.__dict__
            assert twin.__traceback__ is None


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_text_has_the_cause_whether_anything_was_sent_and_the_fix(kind):
    error = made(kind)
    text = str(error)
    assert "it went wrong" in text
    for phase, words in SENT.items():
        error.phase = phase
        assert words in str(error) or isinstance(error, ConfigurationError)
    assert error.advice in text
    for fact in (error.operation, error.request_id):
        assert fact is None or fact in text
    assert error.retry_after is None or "7 s" in text
    assert not error.attempts or "2 attempts" in text


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0 s"), (0.2, "1 s"), (5.0, "5 s"), (5.2, "6 s")]
)
def test_time_until_a_retry_is_rounded_up(seconds, words):
    error = errors.PersonaError("it failed", retry_after=seconds)

    assert str(error).startswith(f"it failed (retry in {words}). ")


def test_refusal_of_the_partner_says_that_no_code_was_exchanged():
    error = errors.CodeRefusedError("the agreement has ended")
    error.retry_after = 5.0

    assert str(error).startswith(
        "the agreement has ended (the partner can be asked again in 5 s). "
        "No code was exchanged. "
    )
