"""What a Node.js function finds beside its own code: the AWS SDK, layers, and the account behind them."""

from __future__ import annotations

import shutil

import pytest

from tests.emulator.functions.runtimes.conftest import LanguageAccount

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

TALKS = """
const s3 = new S3Client({})
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}))
const handler = async () => {
  await s3.send(new PutObjectCommand({ Bucket: 'files', Key: 'a', Body: 'hello' }))
  const found = await s3.send(new GetObjectCommand({ Bucket: 'files', Key: 'a' }))
  await table.send(new PutCommand({ TableName: 'orders', Item: { id: 'a', total: 7 } }))
  const { Item } = await table.send(new GetCommand({ TableName: 'orders', Key: { id: 'a' } }))
  return [await found.Body.transformToString(), Item.total]
}
"""
REQUIRED = """
const { S3Client, PutObjectCommand, GetObjectCommand } = require('@aws-sdk/client-s3')
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb')
const { DynamoDBDocumentClient, PutCommand, GetCommand } = require('@aws-sdk/lib-dynamodb')
"""
IMPORTED = """
import { S3Client, PutObjectCommand, GetObjectCommand } from '@aws-sdk/client-s3'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, PutCommand, GetCommand } from '@aws-sdk/lib-dynamodb'
"""
FORMS = {
    "require": ("index.js", REQUIRED + TALKS + "exports.handler = handler"),
    "import": ("index.mjs", IMPORTED + TALKS + "export { handler }"),
}


@pytest.mark.parametrize(("file", "code"), FORMS.values(), ids=FORMS.keys())
def test_the_sdk_is_there_and_reaches_the_account_by(
    functions: LanguageAccount, file: str, code: str
) -> None:
    functions.account.client("s3").create_bucket(
        Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"}
    )
    functions.account.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    functions.account.client("iam").put_role_policy(
        RoleName="fn-role", PolicyName="all", PolicyDocument=everything
    )
    functions.node(code, file=file, Runtime="nodejs22.x", MemorySize=256, Timeout=60)

    answer = functions.invoke()

    assert answer["Payload"] == ["hello", 7]
    assert not [line for line in functions.logs() if "Warning" in line]


def test_every_bundled_package_can_be_loaded(functions: LanguageAccount) -> None:
    functions.node(
        """
        const { dependencies } = require('/var/runtime/node_modules/.package-lock.json').packages ?? {}
        const names = require('fs').readdirSync('/var/runtime/node_modules/@aws-sdk')
        exports.handler = async () => names.filter((n) => n.startsWith('client-') || n.startsWith('lib-'))
          .map((n) => [n, Object.keys(require(`@aws-sdk/${n}`)).length]).filter(([, count]) => count === 0)
        """,
        MemorySize=1024,
        Timeout=60,
    )
    assert functions.invoke()["Payload"] == []


@pytest.mark.parametrize("folder", ["nodejs/node_modules", "nodejs/node20/node_modules"])
@pytest.mark.parametrize("file", ["index.js", "index.mjs"])
def test_a_layer_is_found(functions: LanguageAccount, folder: str, file: str) -> None:
    layer = functions.publish_layer(
        "prices",
        {
            f"{folder}/prices/package.json": '{"name": "prices", "main": "main.js"}',
            f"{folder}/prices/main.js": "exports.price = 7",
        },
    )
    code = (
        "const { price } = require('prices'); exports.handler = async () => price"
        if file == "index.js"
        else "import { price } from 'prices'; export const handler = async () => price"
    )
    functions.node(code, file=file, Layers=[layer])
    assert functions.invoke()["Payload"] == 7


def test_a_package_of_ones_own_comes_before_the_bundled_one(functions: LanguageAccount) -> None:
    functions.node(
        "import { mine } from '@aws-sdk/client-s3'; export const handler = async () => mine",
        file="index.mjs",
        files={
            "node_modules/@aws-sdk/client-s3/package.json": '{"main": "main.js"}',
            "node_modules/@aws-sdk/client-s3/main.js": "exports.mine = true",
        },
    )
    assert functions.invoke()["Payload"] is True


def test_the_runtime_cannot_be_changed(functions: LanguageAccount) -> None:
    functions.node(
        """
        const fs = require('fs')
        exports.handler = async () => ['/var/runtime/x', '/var/task/x', '/opt/x', '/x'].map((path) => {
          try { fs.writeFileSync(path, ''); return path } catch (error) { return error.code }
        })
        """
    )
    assert set(functions.invoke()["Payload"]) <= {"EROFS", "EACCES"}
