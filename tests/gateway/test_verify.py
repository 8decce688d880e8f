"""What can only be known beyond the file is told with its place in the file all the same."""

import pytest

from gateway.app import Misconfigured, verify
from gateway.settings import load


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'queue:\n  url: "rediss://h?ssl_ca_certs=/nowhere/ca.pem"\n',
            ":2:8: queue.url: what the TLS option ssl_ca_certs names is not there, or cannot be read",
        ),
        ('objects: {url: "az://box/prefix"}\n', ":1:16: objects.url: Account must be specified"),
        (
            'objects: {url: "s3://bucket", options: {colour: red}}\n',
            ":1:16: objects.url: Configuration key: 'colour' is not valid for store 'S3'.",
        ),
        (
            "channels:\n  support: {type: email, recipients: [a@b.example], tls: {certificate: /nowhere/c, key: k}}\n",
            ":2:58: channels.support.tls: tls.certificate cannot be read: No such file or directory",
        ),
    ],
)
def test_it_is_named_where_it_stands(tmp_path, text, said):
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    with pytest.raises(Misconfigured) as caught:
        verify(load(file, environ={}))
    assert str(caught.value) == f"{file}{said}"
