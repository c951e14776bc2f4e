"""``persona-share partner``: keys, consents and checks, as a person types them."""

import json
import os
import stat
import subprocess

import pytest

from persona_share.partner import openapi
from persona_share.partner.applications import free_port


PARTNER = "org_partner"


@pytest.fixture
def store(tmp_path):
    return {"PERSONA_STORE": str(tmp_path / "partner.db")}


@pytest.mark.parametrize(
    "algorithm", ["ES256", pytest.param("RS256", marks=pytest.mark.slow)]
)
def test_key_is_kept_in_a_private_file_and_its_public_half_is_printed(
    cli, tmp_path, algorithm
):
    path = tmp_path / "partner.key"
    command = ("partner", "keygen", "--key-file", str(path), "--algorithm", algorithm)
    made = cli(*command)
    assert made.code == 0, made.err
    assert (made.value["alg"], made.value["use"]) == (algorithm, "sig")
    assert "d" not in made.value
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text("utf-8"))["kid"] == made.value["kid"]
    again = cli(*command)
    assert (again.code, again.out) == (2, "")


def test_key_file_is_for_its_owner_with_any_umask(cli, tmp_path):
    path = tmp_path / "partner.key"
    before = os.umask(0o777)
    try:
        made = cli("partner", "keygen", "--key-file", str(path))
    finally:
        os.umask(before)
    assert made.code == 0, made.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_consents_are_granted_listed_and_revoked(cli, store):
    grant = ("partner", "consent", "grant", "--partner", PARTNER, "--by", "form-7")
    granted = cli(*grant, "--days", "30", "--json", "inq_1", "inq_2", env=store)
    assert granted.code == 0, granted.err
    assert {each["object_id"] for each in granted.value["consents"]} == {
        "inq_1",
        "inq_2",
    }
    assert cli(*grant, "--days", "30", "inq_1", env=store).err == "1 consent\n"
    assert cli("partner", "consent", "list", env=store).err == "2 consents\n"
    revoked = cli(
        "partner", "consent", "revoke", "--partner", PARTNER, "--json", "inq_1",
        env=store,
    )  # fmt: skip
    assert [each["object_id"] for each in revoked.value["consents"]] == ["inq_1"]
    listed = cli("partner", "consent", "list", env=store)
    assert "inquiry.read:inq_2" in listed.out
    assert "inq_1" not in listed.out
    cli("partner", "consent", "revoke", "--partner", PARTNER, "--all", env=store)
    assert cli("partner", "consent", "list", "--json", env=store).value == {
        "consents": []
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("consent", "grant", "--partner", PARTNER, "--by", "x", "inq_1"),
        ("consent", "grant", "--partner", PARTNER, "--by", "x", "--until", "soon", "inq_1"),
        ("consent", "grant", "--partner", PARTNER, "--by", "x", "--until", "2020-01-01", "inq_1"),
        ("consent", "grant", "--partner", PARTNER, "--by", "x", "--days", "1"),
        ("consent", "revoke", "--partner", PARTNER),
        ("consent", "revoke", "--partner", PARTNER, "--all", "inq_1"),
        (*("consent", "revoke", "--partner", PARTNER), "--scope", "inquiry.read:inq_1", "inq_2"),
        ("check", "--url", "https://a.example/codes"),
        ("consent", "list", "--store", "redis://user:secret@host/0"),
    ],
)  # fmt: skip
def test_unclear_commands_are_refused(cli, store, arguments):
    ended = cli("partner", *arguments, env=store)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert "secret" not in ended.err.replace("secret@", "")


def test_settings_of_a_service_are_checked(cli, store, tmp_path):
    path = tmp_path / "agreements.toml"
    path.write_text("[[agreement]]\n", "utf-8")
    wrong = cli("partner", "check", "--agreements", str(path), env=store)
    assert (wrong.code, wrong.out) == (2, "")
    assert "agreement 1: 'partner' is missing" in wrong.err
    path.write_text("", "utf-8")
    audit = (
        "--audit",
        str(tmp_path / "audit.jsonl"),
        "--store",
        store["PERSONA_STORE"],
    )
    right = cli("partner", "check", "--agreements", str(path), *audit, "--json")
    assert right.code == 0, right.err
    assert set(right.value) == {"agreements", "audit", "store"}


@pytest.mark.slow
def test_partner_that_cannot_be_reached_is_named(cli, tmp_path):
    key = str(tmp_path / "partner.key")
    cli("partner", "keygen", "--key-file", key)
    ended = cli(
        "partner", "check", "--url", "http://127.0.0.1:1/codes", "--client-id", PARTNER,
        "--key-file", key,
    )  # fmt: skip
    assert (ended.code, ended.out) == (8, "")
    assert "the partner cannot be reached" in ended.err
    assert "PERSONA_PARTNER_URL (or --url)" in ended.err
    assert "up at http://127.0.0.1:1/codes" in ended.err
    assert "--code-command" not in ended.err


@pytest.mark.slow
def test_loopback_url_with_another_port_is_warned_about(cli, store, tmp_path):
    (tmp_path / "agreements.toml").write_text("", "utf-8")
    output = {}
    for url in ("http://127.0.0.1:1/codes", "https://share.example/codes"):
        service = cli.start(
            *("partner", "serve", "--agreements", str(tmp_path / "agreements.toml")),
            *("--audit", str(tmp_path / "audit.jsonl"), "--port", "0", "--url", url),
            env=store, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        service.stdout.readline()
        service.terminate()
        output[url] = service.communicate()[1].decode()
    assert "Pass --port 1, or another --url" in output["http://127.0.0.1:1/codes"]
    assert output["https://share.example/codes"] == ""


def test_id_without_a_known_permission_names_the_option(cli, store):
    consent = ("partner", "consent", "grant", "--partner", PARTNER, "--by", "x")
    for command in (
        (*consent, "--days", "1", "foo_1"),
        ("authorize", "--client-id", PARTNER, "--reveal", "--force", "foo_1"),
    ):
        ended = cli(*command, env=store)
        assert (ended.code, ended.out) == (2, "")
        assert "--scope '….read:id'" in ended.err
        assert "Scope.of" not in ended.err


def test_protocol_is_printed(cli):
    assert cli("partner", "openapi").value == openapi()


@pytest.mark.slow
def test_doctor_asks_the_partner_that_the_environment_names(cli, tmp_path):
    made = cli("partner", "keygen", "--key-file", str(tmp_path / "partner.key"))
    assert made.code == 0, made.err
    ended = cli(
        "doctor",
        "--json",
        env={
            "PERSONA_PARTNER_URL": "http://127.0.0.1:1/codes",
            "PERSONA_ORGANIZATION_ID": PARTNER,
            "PERSONA_PARTNER_KEY_FILE": str(tmp_path / "partner.key"),
        },
    )
    found = ended.value["findings"][-1]
    assert (found["name"], found["state"]) == ("partner", "bad")
    assert "127.0.0.1:1" in found["what"]
    assert "PERSONA_PARTNER_URL" in found["advice"]
    assert ended.code == 8  # of the network


@pytest.mark.slow
def test_codes_are_requested_from_the_partner_in_the_environment(
    cli, sandbox, store, tmp_path
):
    key_file, port = str(tmp_path / "partner.key"), free_port()
    key = cli("partner", "keygen", "--key-file", key_file).value
    (tmp_path / "partner.json").write_text(json.dumps(key), "utf-8")
    (tmp_path / "agreements.toml").write_text(
        f'[[agreement]]\npartner = "{sandbox.destination.id}"\n'
        'keys_file = "partner.json"\npermissions = ["inquiry.read"]\n'
        "valid_from = 2020-01-01\nvalid_until = 2120-01-01\n",
        "utf-8",
    )
    shared, other = cli.inquiries(2)
    consent = ("partner", "consent", "grant", "--partner", sandbox.destination.id)
    cli(*consent, "--by", "form-7", "--days", "1", shared, env=store)
    url = f"http://127.0.0.1:{port}/codes"
    service = cli.start(
        *("partner", "serve", "--agreements", str(tmp_path / "agreements.toml")),
        *("--audit", str(tmp_path / "audit.jsonl"), "--port", str(port), "--url", url),
        env={**store, "PERSONA_API_KEY": sandbox.source.api_key},
        stdout=subprocess.PIPE,
    )
    partner = {
        "PERSONA_PARTNER_URL": url,
        "PERSONA_ORGANIZATION_ID": sandbox.destination.id,
        "PERSONA_PARTNER_KEY_FILE": key_file,
    }
    try:
        service.stdout.readline()
        got = cli("get", shared, "--partner", "--json", env=partner)
        refused = cli("get", other, "--partner", env=partner)
        both = cli("get", shared, "--partner", "--client-id", "org_1", env=partner)
    finally:
        service.terminate()
        service.communicate()
    assert (got.code, shared in got.out) == (0, True)
    assert (refused.code, refused.out) == (4, "")
    assert both.code == 2
    assert "Choose one of" in both.err


def test_check_of_nothing_is_refused(cli):
    assert cli("partner", "check").code == 2
