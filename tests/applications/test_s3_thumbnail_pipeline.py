"""s3-thumbnail-pipeline: from bucket to bucket, with code that knows one region and no endpoint."""

from __future__ import annotations

import pytest

from tests.applications.harness import Shell, by_aws

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def test_each_picture_gets_a_small_copy(shell: Shell) -> None:
    with by_aws(shell, "s3-thumbnail-pipeline", "--parameter-overrides", "Width=2") as application:
        shell.settle()
        s3, outputs = application.client("s3"), application.outputs

        assert outputs["Seeded"] == "2"
        small = names(s3, outputs["Thumbnails"])
        assert small == ["small/the dawn.pgm", "small/the dusk.pgm"]
        kept = s3.get_object(Bucket=outputs["Thumbnails"], Key=small[0])["Body"].read().decode()
        assert kept.split() == ["P2", "2", "2", "255", "56", "184", "56", "184"]

        s3.put_object(Bucket=outputs["Originals"], Key="in/not a picture.txt", Body=b"")
        s3.put_object(Bucket=outputs["Originals"], Key="in/é + à.pgm", Body=b"P2 2 2 9 1 2 3 4")
        shell.settle()
        assert names(s3, outputs["Thumbnails"]) == [*small, "small/é + à.pgm"]


def names(s3: object, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
