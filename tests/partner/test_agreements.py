"""Agreements and keys: what is accepted, from code and from a file."""

import inspect
import json
import os
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from joserfc import jwk

from persona_share import Secret
from persona_share.errors import ConfigurationError, PersonaError
from persona_share.partner import Agreement, SigningKey, load_agreements
from persona_share.partner.agreements import Agreements
from persona_share.partner.input_files import read_file
from persona_share.partner.keys import (
    Assertion,
    PublicKey,
    load_public_keys,
    signed_assertion,
    verify,
)
from persona_share.testing import fake_runtime
from tests.partner.conftest import START, signing_key


GOOD = {
    "partner": "org_1",
    "keys": [signing_key().public_jwk],
    "permissions": ["inquiry.read"],
    "valid_from": START,
    "valid_until": START + timedelta(days=1),
}


def test_agreement_reads_its_values():
    east = timezone(timedelta(hours=2))
    agreement = Agreement(
        **(GOOD | {"valid_from": datetime(2026, 1, 1, 1, tzinfo=east)})
    )
    assert agreement.valid_from == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert agreement.permissions == {"inquiry.read"}
    assert (agreement.codes_per_minute, agreement.max_objects) == (60, 256)


@pytest.mark.parametrize(
    "changes",
    [
        {"partner": ""},
        {"partner": "org 1"},
        {"keys": []},
        {"keys": [{}]},
        {"keys": ["not a JWK"]},
        {"keys": 7},
        {"permissions": 7},
        {"partner": "inq_1"},
        {"permissions": []},
        {"permissions": ["inquiry.read:inq_1"]},
        {"permissions": ["everything"]},
        {"permissions": "*"},
        {"valid_until": START},
        {"valid_until": datetime(2027, 1, 1)},  # noqa: DTZ001 — that is the point
        {"valid_until": "2027-01-01"},
        {"valid_until": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
        {"codes_per_minute": 0},
        {"codes_per_minute": 10_000},
        {"codes_per_minute": 1.5},
        {"codes_per_minute": True},
        {"max_objects": 257},
        {"inbox": "http://destination.example/inbox"},
    ],
)
def test_agreement_that_cannot_hold_is_refused(changes):
    with pytest.raises(PersonaError):
        Agreement(**(GOOD | changes))


def test_one_key_without_a_list_is_refused_with_the_form_to_write():
    for keys in (signing_key().public_jwk, json.dumps(signing_key().public_jwk)):
        with pytest.raises(ConfigurationError, match=r"Write keys=\[…\]"):
            Agreement(**(GOOD | {"keys": keys}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partner": "acme"}, "'acme'"),
        ({"permissions": ["inquiries.read"]}, "did you mean 'inquiry.read'"),
    ],
)
def test_values_that_look_like_mistakes_are_logged(caplog, changes, words):
    Agreement(**GOOD)
    assert not caplog.records
    Agreement(**(GOOD | changes))
    assert words in caplog.text


def test_signature_of_an_agreement_names_its_types():
    parameters = inspect.signature(Agreement).parameters
    assert {parameters[each].annotation for each in ("valid_from", "valid_until")} == {
        date
    }


@pytest.mark.parametrize(
    "key",
    [
        json.loads(signing_key().private_jwk().reveal()),
        {"kty": "oct", "k": "c2VjcmV0"},
        jwk.ECKey.generate_key("P-384", private=False).as_dict(),
        jwk.OKPKey.generate_key("Ed25519", private=False).as_dict(),
        {"kty": "RSA", "e": "AQAB", "n": "w" * 171},
        {"kty": "RSA", "e": "AQAB", "n": "A" * 171 + "w" * 171},
        signing_key().public_jwk | {"use": "enc"},
        signing_key().public_jwk | {"alg": "RS256"},
        signing_key().public_jwk | {"kid": "x" * 200},
        signing_key().public_jwk | {"x": "AAAA"},
    ],
)
@pytest.mark.filterwarnings("ignore:Key size")
def test_weak_private_and_foreign_keys_are_refused(key):
    with pytest.raises(ConfigurationError) as caught:
        PublicKey.from_jwk(key)
    assert str(key.get("d", "nothing")) not in str(caught.value)


@pytest.mark.parametrize(
    "algorithm", ["ES256", pytest.param("RS256", marks=pytest.mark.slow)]
)
def test_key_signs_as_jwk_as_pem_and_from_a_file(algorithm, tmp_path):
    key = signing_key(algorithm=algorithm)
    raw = jwk.import_key(json.loads(key.private_jwk().reveal()))
    pem = raw.as_pem(private=True).decode()
    path = tmp_path / "partner.key"
    path.touch(0o600)
    path.write_text(pem, "utf-8")
    public, runtime = PublicKey.from_jwk(key.public_jwk), fake_runtime()
    now = runtime.clock.wall().timestamp()
    for given in (key.private_jwk(), pem, Secret(pem), path, key):
        token = signed_assertion(
            SigningKey(given), "org_1", "https://a.example/codes", runtime
        )
        found = verify(
            token.reveal(),
            lambda _: [public],
            audience="https://a.example/codes",
            now=now,
        )
        assert isinstance(found, Assertion)


def test_key_file_without_a_key_is_named(tmp_path):
    path = write(tmp_path / "partner.key", "nonsense")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        SigningKey(path)
    assert str(caught.value).startswith(f"the content of {path} is not a private key")
    assert "pathlib" not in str(caught.value)


def test_key_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "partner.key"
    path.write_text(signing_key().private_jwk().reveal(), "utf-8")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        SigningKey(path)
    assert "chmod 600" in str(caught.value)


@pytest.mark.parametrize("read", [SigningKey, load_public_keys, load_agreements])
def test_named_pipe_is_refused_instead_of_waiting_for_a_writer(read, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigurationError, match="it is not a file"):
        read(path)


def test_key_is_read_from_the_pipe_of_a_shell():
    reader, writer = os.pipe()
    os.write(writer, signing_key().private_jwk().reveal().encode())
    os.close(writer)
    try:
        assert SigningKey(Path(f"/dev/fd/{reader}")).id == signing_key().id
    finally:
        os.close(reader)


def test_agreements_that_are_too_long_are_refused_instead_of_read_in_part(tmp_path):
    write(tmp_path / "keys.json", json.dumps(signing_key().public_jwk))
    rest = "#" * 1024 * 1024 + TABLE.replace("org_1", "org_2")
    path = write(tmp_path / "agreements.toml", TABLE + rest)
    with pytest.raises(ConfigurationError, match="more than 1048576 bytes"):
        load_agreements(path)


def test_both_keys_are_accepted_while_they_are_rotated():
    old, new = signing_key("old"), signing_key("new")
    agreement = Agreement(**(GOOD | {"keys": [old.public_jwk, new.public_jwk]}))
    runtime = fake_runtime()
    for key in (old, new):
        token = signed_assertion(
            key, "org_1", "https://a.example/codes", runtime
        ).reveal()
        found = verify(
            token,
            lambda _: agreement.keys,
            audience="https://a.example/codes",
            now=runtime.clock.wall().timestamp(),
        )
        assert isinstance(found, Assertion)


def test_private_key_is_never_shown():
    key = signing_key()
    secret = json.loads(key.private_jwk().reveal())["d"]
    for shown in (repr(key), str(key), repr(key.public_jwk), repr(key.private_jwk())):
        assert secret not in shown


def write(path, text):
    path.write_text(text, "utf-8")
    return path


TABLE = """
[[agreement]]
partner = "org_1"
permissions = ["inquiry.read"]
valid_from = 2026-01-01
valid_until = 2027-01-01T00:00:00+01:00
codes_per_minute = 7
keys_file = "keys.json"
"""


def test_file_holds_agreements_and_names_files_of_keys(tmp_path):
    keys = [signing_key(name).public_jwk for name in ("old", "new")]
    write(tmp_path / "keys.json", json.dumps({"keys": keys}))
    [agreement] = load_agreements(write(tmp_path / "agreements.toml", TABLE))
    assert agreement.partner == "org_1"
    assert len(agreement.keys) == 2
    assert agreement.codes_per_minute == 7
    assert agreement.valid_until == datetime(2026, 12, 31, 23, tzinfo=UTC)


VALUES = (
    *("7", "1.5", "nan", "true", '""', '"\\u0000"', "[]", "[7]", "[[]]", "[{}]", "{}"),
    *("2026-01-01", "07:32:00", "0001-01-01T00:00:00+23:59", '"https://[::1"'),
    *('[{kty="EC",crv="P-256",x=7,y=7}]', "1" * 30),
)


@pytest.mark.parametrize("value", VALUES)
def test_value_of_another_type_in_a_file_is_refused_with_words(tmp_path, value):
    write(tmp_path / "keys.json", json.dumps(signing_key().public_jwk))
    table = TABLE + 'max_objects = 7\ninbox = "https://d.example/inbox"'
    lines = table.strip().splitlines()
    names = [each.partition(" ")[0] for each in lines[1:]]
    accepted, messages = set(), []
    for number, name in enumerate(names, start=1):
        changed = [*lines[:number], f"{name} = {value}", *lines[number + 1 :]]
        path = write(tmp_path / "agreements.toml", "\n".join(changed))
        try:
            load_agreements(path)
            accepted.add(name)
        except PersonaError as error:
            messages.append(str(error))
    assert [each for each in messages if f"{path}, agreement 1: " not in each] == []
    assert accepted <= {"codes_per_minute", "max_objects", "valid_from"}
    path = write(tmp_path / "agreements.toml", f"{table}\nkeys = {value}")
    if value != "[]":
        with pytest.raises(PersonaError, match="agreement 1: "):
            load_agreements(path)


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "1" * 5_000])
def test_file_that_no_parser_can_read_is_refused_with_words(tmp_path, text):
    with pytest.raises(ConfigurationError, match="is not TOML"):
        load_agreements(write(tmp_path / "agreements.toml", text))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("partner = ", "partnr = "), "unknown key 'partnr'"),
        (("[[agreement]]", "[[agreements]]"), "only [[agreement]]"),
        (("[[agreement]]", "[agreement]"), "only [[agreement]]"),
        (("2026-01-01", '"soon"'), "agreement 1: a time of an agreement"),
        (("2026-01-01", "2026-01-01T00:00:00"), "needs a time zone"),
        (('["inquiry.read"]', '["inquiry"]'), "agreement 1: "),
        (("keys.json", "missing.json"), "cannot be read as a JWK"),
        (("partner = ", "= "), "not TOML"),
        (('permissions = ["inquiry.read"]', ""), "'permissions' is missing"),
        (('keys_file = "keys.json"', ""), "without a public key"),
    ],
)
def test_error_names_the_invalid_table_of_a_file(tmp_path, change, words):
    write(tmp_path / "keys.json", json.dumps(signing_key().public_jwk))
    path = write(tmp_path / "agreements.toml", TABLE.replace(*change))
    with pytest.raises(ConfigurationError) as caught:
        load_agreements(path)
    assert words in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load_agreements(tmp_path / "agreements.toml")
    assert "No such file" in str(caught.value)


@pytest.mark.parametrize("changed", ["agreements.toml", "keys.json"])
def test_change_during_a_read_is_noticed_at_the_next_request(tmp_path, changed):
    old, new = signing_key("old").public_jwk, signing_key("new").public_jwk
    write(tmp_path / "keys.json", json.dumps(old))
    path = write(tmp_path / "agreements.toml", TABLE)
    changes = [TABLE.replace("= 7", "= 8"), json.dumps(new)]

    def change_after_reading(frame, event, _):
        ended = event == "return" and frame.f_code is read_file.__code__
        if ended and changes and frame.f_locals["path"].name == changed:
            toml, keys = changes
            changes.clear()
            text = toml if changed == "agreements.toml" else keys
            write(tmp_path / changed, text)

    sys.setprofile(change_after_reading)
    try:
        agreements = Agreements(path)
    finally:
        sys.setprofile(None)
    assert changes == []  # the file was changed
    found = agreements.find("org_1")
    if changed == "agreements.toml":
        assert found.codes_per_minute == 8
    else:
        assert [each.id for each in found.keys] == [new["kid"]]
