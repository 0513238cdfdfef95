"""upload-portal: a browser uploads by a form that a function signed; a layer's tools make pictures small."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.applications.harness import Answer, Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(300)]
BOUNDARY = "----form"


def send(
    application: Application, url: str, fields: Mapping[str, str], file: bytes, kind: str = "image/png"
) -> Answer:
    """The form as a browser sends it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {**fields, "Content-Type": kind}.items()
    ]
    head = f'Content-Disposition: form-data; name="file"; filename="a cat.png"\r\nContent-Type: {kind}'
    parts += [f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode(), file, f"\r\n--{BOUNDARY}--\r\n".encode()]
    form = f"multipart/form-data; boundary={BOUNDARY}"
    return application.ask("POST", url, b"".join(parts), content_type=form, origin="https://shop.example.com")


def test_what_the_form_allows_arrives_and_is_made_small(shell: Shell) -> None:
    with by_sam(shell, "upload-portal") as application:
        outputs, s3 = application.outputs, application.client("s3")
        form = application.ask("GET", f"{outputs['Url']}/forms/ann").json()

        arrived = send(application, form["url"], form["fields"], b"x" * 500)
        assert (arrived.status, arrived.headers["access-control-allow-origin"]) == (201, "*")
        assert b"<Key>in/ann/a cat.png</Key>" in arrived.body
        for file, kind, code in (
            (b"x" * 5000, "image/png", "EntityTooLarge"),
            (b"x", "text/html", "AccessDenied"),
        ):
            refused = send(application, form["url"], form["fields"], file, kind)
            found = re.search(rb"<Code>(\w+)</Code>", refused.body)
            assert found is not None
            assert found[1].decode() == code

        shell.settle()
        small = s3.list_objects_v2(Bucket=outputs["Small"])["Contents"]
        assert [(item["Key"], item["Size"]) for item in small] == [("in/ann/a cat.png", 50)]
        s3.delete_object(Bucket=outputs["Uploads"], Key="in/ann/a cat.png")
        shell.settle()
        assert "Contents" not in s3.list_objects_v2(Bucket=outputs["Small"])
        versions = s3.list_object_versions(Bucket=outputs["Uploads"])
        for each in (*versions["Versions"], *versions["DeleteMarkers"]):
            s3.delete_object(Bucket=outputs["Uploads"], Key=each["Key"], VersionId=each["VersionId"])
        shell.settle()
