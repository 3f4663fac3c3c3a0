"""What counts as a secret, and what is left of a text that has some."""

from __future__ import annotations

import pytest

from specplan.base.redaction import (
    is_secret,
    redacted,
    redacted_lines,
    redacted_text,
    redacted_words,
)

SECRET = """
    token tokens password passwd db_password dbPassword PGPASSWORD SSHPASS DB_PASS pwd MYSQL_PWD passphrase secret
    client_secret SECRET_KEY apikey api_key apiKey API-KEY OPENAI_API_KEY AWS_ACCESS_KEY_ID
    AWS_SECRET_ACCESS_KEY AZURE_STORAGE_KEY private_key_path GITHUB_TOKEN_2 HF_TOKEN access.token accessToken
    GITLAB_PAT SLURM_JWT credentials GOOGLE_APPLICATION_CREDENTIALS Authorization auth cookie dsn key
"""
HARMLESS = """
    tokenizer max_tokens num_tokens pad_token eos_token tokens_per_batch token_embedding key_dim key_states
    sort_key primary_key keyword monkey author bypass_weights forward_pass signature_size learning_rate
    SSH_AUTH_SOCK hidden_size compass path
"""


@pytest.mark.parametrize("name", SECRET.split())
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name)


TOKENS = {
    "aws": "AKIA" + "Q" * 16,
    "github": "ghp_" + "a1" * 18,
    "github fine": "github_pat_" + "a1" * 20,
    "gitlab": "glpat-" + "a1" * 10,
    "openai": "sk-proj-" + "a1" * 20,
    "stripe": "sk_live_" + "a1" * 12,
    "hugging face": "hf_" + "a1" * 17,
    "slack": "xoxb-" + "1" * 12,
    "google": "AIza" + "b" * 35,
    "pypi": "pypi-" + "a1" * 20,
    "npm": "npm_" + "a1" * 18,
    "jwt": "eyJhbGciOiJI." + "eyJzdWIiOiIx" + ".c2lnbmF0dXJl",
}


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_are_known_by_their_look(kind: str) -> None:
    assert redacted_text(f"it is {TOKENS[kind]}, no") == "it is ***, no"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://u:p@host/db", "postgres://***@host/db"),
        ("https://token@host/x.git", "https://***@host/x.git"),
        ("https://u:p@ss@host/x@y", "https://***@host/x@y"),
        ("mysql://u:p@s#?@host/db", "mysql://***@host/db"),
        ("git@host:x/y.git", "git@host:x/y.git"),
        ("https://host/?q=1&access_token=abc&n=2", "https://host/?q=1&access_token=***&n=2"),
        ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer ***"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nend",
            "***\n\n\nend",
        ),
        (
            "run.py --auth-token=abc -v --password hunter --x",
            "run.py --auth-token=*** -v --password *** --x",
        ),
        (
            "run.py --key 3 --max-tokens=512 -- --token",
            "run.py --key 3 --max-tokens=512 -- --token",
        ),
        ("loss = 0.5 at https://host/path?step=3", "loss = 0.5 at https://host/path?step=3"),
    ],
)
def test_texts(text: str, left: str) -> None:
    assert redacted_text(text) == left


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ('+api_key = "abc"', '+api_key = "***"'),
        ("-  'password': 'hunter two',", "-  'password': '***',"),
        ("+API_TOKEN=abc def", "+API_TOKEN=***"),
        (" secret: hunter2", " secret: ***"),
        ("+key=abcd1234efgh", "+key=***"),
        ("+    key = self.key(x)", "+    key = self.key(x)"),
        ("+def f(token: str, key: int = 3):", "+def f(token: str, key: int = 3):"),
        ('+if token == "x":', '+if token == "x":'),
        ("+max_tokens = 512", "+max_tokens = 512"),
        ("+++ b/token.py", "+++ b/token.py"),
    ],
)
def test_lines(line: str, left: str) -> None:
    assert redacted_lines(f"a\n{line}\nb") == f"a\n{left}\nb"


def test_words_of_a_command() -> None:
    words = [
        "mlx",
        "--token",
        "abc",
        "--api-key=abc",
        "-c",
        "db.password=abc",
        "--secret",
        "-v",
        "TOKEN=x",
        'a = 1\nlogin(password="abc")',
    ]
    left = [
        "mlx",
        "--token",
        "***",
        "--api-key=***",
        "-c",
        "db.password=***",
        "--secret",
        "-v",
        "TOKEN=***",
        'a = 1\nlogin(password="***")',
    ]
    assert redacted_words(words) == left


def test_everything_in_what_is_called_a_secret_is_one() -> None:
    said = {"credentials": {"user": "a", "rotated": True, "more": [{"pin": 1234, "x": "y"}]}}
    left = {"credentials": {"user": "***", "rotated": True, "more": [{"pin": "***", "x": "***"}]}}
    assert redacted(said) == left


def test_values() -> None:
    said = {
        "max_tokens": 5,
        "token": 5,
        "password": 5,
        "use_secret": True,
        "keys": ["a", "b"],
        "rate": 0.1,
    }
    assert redacted({"inner": said}) == {
        "inner": {
            "max_tokens": 5,
            "token": 5,
            "password": "***",
            "use_secret": True,
            "keys": ["***", "***"],
            "rate": 0.1,
        }
    }


def test_secrets_of_the_environment_are_found_in_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "nothing like a token")
    monkeypatch.setenv("OTHER_TOKEN", "short")
    assert redacted_text("it said nothing like a token, in short") == "it said ***, in short"


def test_the_folder_that_a_shell_is_in_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/srv/lab/project")
    monkeypatch.setenv("OLDPWD", "/srv/lab/other")
    monkeypatch.setenv("DATABASE_PWD", "correct horse")
    text = "cd /srv/lab/other; /srv/lab/project/train.py says correct horse"
    assert redacted_text(text) == "cd /srv/lab/other; /srv/lab/project/train.py says ***"
