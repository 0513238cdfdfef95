"""Code that stands in the template itself, as the archive CloudFormation makes of it."""

from __future__ import annotations

import io
import zipfile

_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16

# What functions behind custom resources import to answer CloudFormation.
# Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/cfn-lambda-function-code-cfnresponsemodule.html
_PYTHON_RESPONSE = '''"""Answers CloudFormation on behalf of a custom resource."""

import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    answer = {
        "Status": responseStatus,
        "Reason": reason or f"See the details in CloudWatch Log Stream: {context.log_stream_name}",
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(
        event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""}
    )
    try:
        with urllib.request.urlopen(request) as response:
            print("Status code:", response.status)
    except Exception as error:
        print("send(..) failed executing http.request(..):", error)
'''
_NODE_RESPONSE = """const http = require("http");
const https = require("https");

exports.SUCCESS = "SUCCESS";
exports.FAILED = "FAILED";

exports.send = function (event, context, responseStatus, responseData, physicalResourceId, noEcho) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({
      Status: responseStatus,
      Reason: "See the details in CloudWatch Log Stream: " + context.logStreamName,
      PhysicalResourceId: physicalResourceId || context.logStreamName,
      StackId: event.StackId,
      RequestId: event.RequestId,
      LogicalResourceId: event.LogicalResourceId,
      NoEcho: noEcho || false,
      Data: responseData,
    });
    const address = new URL(event.ResponseURL);
    const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
    const options = { method: "PUT", headers };
    const request = (address.protocol === "http:" ? http : https).request(address, options, (response) => {
      response.resume();
      resolve(context.done());
    });
    request.on("error", (error) => {
      console.log("send() error: " + error);
      reject(context.done(error));
    });
    request.end(body);
  });
};
"""


def archive(source: str, runtime: str) -> bytes:
    """A zip of ``source`` as ``index.py`` or ``index.js``, beside the ``cfn-response`` module.

    The same source gives the same bytes, so a version stays the version of its code.
    """
    if runtime.startswith("nodejs"):
        files = {"index.js": source, "cfn-response.js": _NODE_RESPONSE}
    else:
        files = {"index.py": source, "cfnresponse.py": _PYTHON_RESPONSE}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _FILE_MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return made.getvalue()
