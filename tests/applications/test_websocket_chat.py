"""websocket-chat: two clients talk in a room that a WebSocket API keeps, and a third one is not let in."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.applications.harness import Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
_WAIT_S = 60


def test_everybody_in_the_room_hears_what_is_said(shell: Shell) -> None:
    with by_sam(shell, "websocket-chat") as application:
        outputs = application.outputs
        assert outputs["WebSocketURI"] == f"{outputs['Endpoint']}/Prod"
        address = shell.run("coldstart", "sandbox", "url", outputs["WebSocketURI"]).strip()
        assert address.startswith("ws://127.0.0.1:")
        table = application.client("dynamodb")

        def present() -> set[str]:
            shell.settle()
            return {item["name"]["S"] for item in table.scan(TableName="chat_connections")["Items"]}

        with pytest.raises(InvalidStatus) as refused, connect(f"{address}?ticket=none"):
            pass
        assert refused.value.response.status_code == 403
        with connect(f"{address}?ticket=ticket-of-ada", open_timeout=_WAIT_S) as ada:
            with connect(f"{address}?ticket=ticket-of-grace", open_timeout=_WAIT_S) as grace:
                assert present() == {"ada", "grace"}
                ada.send(json.dumps({"action": "sendmessage", "data": "hello"}))
                for client in (ada, grace):
                    assert json.loads(client.recv(timeout=_WAIT_S)) == {"from": "ada", "said": "hello"}
                grace.send(json.dumps({"action": "ping"}))
                assert json.loads(grace.recv(timeout=_WAIT_S))["action"] == "pong"
            assert present() == {"ada"}
            # Nobody says anything for eleven minutes.
            shell.run("coldstart", "sandbox", "advance", "11m")
            with pytest.raises(ConnectionClosed) as closed:
                ada.recv(timeout=_WAIT_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert present() == set()
        lines = application.client("logs").filter_log_events(logGroupName=outputs["AccessLogs"])["events"]
        assert [each["message"] for each in lines].count("DISCONNECT $disconnect 200") == 2
        metrics = application.client("cloudwatch").list_metrics(Namespace="AWS/ApiGateway")["Metrics"]
        assert {"ConnectCount", "MessageCount"} <= {each["MetricName"] for each in metrics}
