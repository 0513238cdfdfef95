"""What customers rely on, asked of a deployed stack: API_URL=… python -m unittest discover tests"""

import json
import os
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

API_URL = os.environ["API_URL"]
GOOD = {
    "orderId": "O-1",
    "category": "shoes",
    "amountCents": 5990,
    "daysSinceDelivery": 3,
    "email": "mari@example.test",
}


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(API_URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Contract(unittest.TestCase):
    def test_a_return_is_accepted_and_registered(self):
        status, body = call("POST", "/returns", GOOD)
        self.assertEqual((status, body["status"], body["refundCents"]), (202, "ACCEPTED", 5740))
        self.assertEqual(body.keys(), {"returnId", "status", "refundCents"})
        path = f"/returns/{body['returnId']}?email={urllib.parse.quote(GOOD['email'])}"
        for _ in range(20):
            status, found = call("GET", path)
            if status == 200:
                break
            time.sleep(0.5)
        wanted = {"returnId": body["returnId"], "orderId": "O-1", "status": "REGISTERED", "refundCents": 5740}
        self.assertEqual((status, found), (200, wanted))

    def test_a_late_return_is_rejected(self):
        answer = call("POST", "/returns", {**GOOD, "daysSinceDelivery": 31})
        self.assertEqual(answer, (422, {"status": "REJECTED", "reason": "TOO_LATE"}))

    def test_what_is_no_return_is_refused(self):
        self.assertEqual(call("POST", "/returns", {**GOOD, "amountCents": "5990"})[0], 400)

    def test_strangers_read_nothing(self):
        self.assertEqual(call("GET", "/returns/none?email=x")[0], 404)


if __name__ == "__main__":
    unittest.main()
