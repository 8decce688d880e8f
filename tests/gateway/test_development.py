import pytest

from gateway.settings import ConfigError, load

SECRETS = """\
http: {{host: "{host}"}}
channels:
  slack: {{type: chat, signing_secrets: [real-secret, development-only-slack]}}
  phone: {{type: phone, account_sid: AC1, auth_tokens: [development-only-twilio], enabled: {enabled}}}
  portal:
    type: api
    clients: [{{name: p, token_sha256: d8d52f7804aa9c75a61b8e419f94c5433a5c336d916ae91fce1b4c5a13d730a4}}]
"""


@pytest.fixture
def config(tmp_path):
    def write(host: str, enabled: str = "true"):
        path = tmp_path / "gateway.yaml"
        path.write_text(SECRETS.format(host=host, enabled=enabled))
        return path

    return write


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_secrets_that_everybody_knows_are_fine_on_this_machine(config, host):
    assert len(load(config(host), environ={}).channels) == 3


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "support.example.com"])
def test_and_refused_beyond_it_each_where_it_stands(config, host):
    with pytest.raises(ConfigError) as caught:
        load(config(host), environ={})
    keys = [problem.key for problem in caught.value.errors]
    assert keys == [
        "channels.slack.signing_secrets.1",
        "channels.phone.auth_tokens.0",
        "channels.portal.clients.0.token_sha256",
    ]
    assert "everybody knows" in str(caught.value.errors[0])
    assert "development-only" not in str(caught.value)


def test_an_inbox_that_is_off_does_not_matter(config):
    with pytest.raises(ConfigError) as caught:
        load(config("0.0.0.0", "false"), environ={})
    assert len(caught.value.errors) == 2


def test_a_public_address_in_front_of_this_machine_counts_as_beyond_it(config, tmp_path):
    path = config("127.0.0.1")
    path.write_text(path.read_text().replace('host: "127.0.0.1"', 'public_url: "https://tunnel.example.com"'))
    with pytest.raises(ConfigError, match="everybody knows"):
        load(path, environ={})
