"""cognito-http-api: users who sign up, and an HTTP API that knows their tokens."""

from __future__ import annotations

import pytest

from tests.applications.harness import Application, Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def signed_up(application: Application, email: str) -> dict[str, str]:
    """The tokens of a new user."""
    idp, outputs = application.client("cognito-idp"), application.outputs
    client, password = outputs["ClientId"], "correct horse 1"
    idp.sign_up(ClientId=client, Username=email, Password=password)
    given = {"USERNAME": email, "PASSWORD": password}
    with pytest.raises(idp.exceptions.UserNotConfirmedException):
        idp.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    idp.admin_confirm_sign_up(UserPoolId=outputs["UserPoolId"], Username=email)
    wrong = given | {"PASSWORD": "wrong horse 2"}
    with pytest.raises(idp.exceptions.NotAuthorizedException):
        idp.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=wrong)
    answer = idp.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    tokens: dict[str, str] = answer["AuthenticationResult"]
    return tokens


def test_a_user_reads_what_that_user_wrote(shell: Shell) -> None:
    with by_sam(shell, "cognito-http-api") as application:
        api = application.outputs["Api"]
        ada, bob = (signed_up(application, f"{name}@notes.example") for name in ("ada", "bob"))
        access = {"Authorization": f"Bearer {ada['AccessToken']}"}
        identity = {"Authorization": f"Bearer {ada['IdToken']}"}

        refused = application.ask("GET", f"{api}/notes")
        assert (refused.status, refused.json()) == (401, {"message": "Unauthorized"})
        wrong = application.ask("GET", f"{api}/notes", Authorization="Bearer nonsense")
        assert (wrong.status, 'error="invalid_token"' in wrong.headers["www-authenticate"]) == (401, True)
        assert application.ask("GET", f"{api}/health").body == b"well"

        wrote = application.ask("PUT", f"{api}/notes/milk", {"text": "two litres"}, **access)
        assert (wrote.status, wrote.json()["name"]) == (201, "milk")
        assert wrote.json()["scopes"] == ["aws.cognito.signin.user.admin"]
        assert wrote.headers["Set-Cookie"] == "last=milk; Secure"
        unscoped = application.ask("PUT", f"{api}/notes/milk", {"text": "none"}, **identity)
        assert (unscoped.status, unscoped.json()) == (403, {"message": "Forbidden"})

        assert application.ask("GET", f"{api}/notes", **identity).json() == {
            "milk": "two litres",
            "welcome": "hello ada@notes.example",
        }
        others = {"Authorization": f"Bearer {bob['IdToken']}", "Origin": "https://notes.example"}
        answer = application.ask("GET", f"{api}/notes", **others)
        assert answer.json() == {"welcome": "hello bob@notes.example"}
        assert answer.headers["Access-Control-Allow-Origin"] == "https://notes.example"
        assert application.ask("DELETE", f"{api}/notes", **access).status == 404
