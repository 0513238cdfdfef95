"""A JupyterHub whose people sign in at the portal, for installations that one machine is too small for.

Told by its environment: COLDSTART_URL (the portal, as browsers reach it), COLDSTART_INTERNAL_URL (the same,
as this process and the learners' servers reach it), COLDSTART_HUB_URL (this hub, as browsers reach it),
COLDSTART_HUB_SECRET (the same as the portal's), JUPYTERHUB_CRYPT_KEY (64 hexadecimal digits). With
COLDSTART_HUB_SPAWNER=simple servers are plain processes of this machine's user: to try things out.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821  # pyright: ignore

HERE = Path(__file__).resolve().parent
PORTAL = os.environ["COLDSTART_URL"].rstrip("/")
INSIDE = os.environ.get("COLDSTART_INTERNAL_URL", PORTAL).rstrip("/")
HUB = os.environ["COLDSTART_HUB_URL"].rstrip("/")


async def hand_on_token(spawner):
    """Give the learner's server the learner's own token, and nobody else's."""
    state = await spawner.user.get_auth_state()
    if not state:
        raise RuntimeError("Sign in again: the portal's token is not kept. Is JUPYTERHUB_CRYPT_KEY set?")
    spawner.environment = {
        **spawner.environment,
        "COLDSTART_TOKEN": state["access_token"],
        "COLDSTART_INTERNAL_URL": INSIDE,
    }


c.JupyterHub.authenticator_class = "generic-oauth"
c.Authenticator.auto_login = True
c.Authenticator.enable_auth_state = True
c.Authenticator.allow_all = True
# The portal's token is good for half a day; who comes later signs in again, unasked.
c.Authenticator.auth_refresh_age = 3600
c.Authenticator.refresh_pre_spawn = True
c.GenericOAuthenticator.client_id = "jupyterhub"
c.GenericOAuthenticator.client_secret = os.environ["COLDSTART_HUB_SECRET"]
c.GenericOAuthenticator.oauth_callback_url = f"{HUB}/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = f"{PORTAL}/oauth/authorize"
c.GenericOAuthenticator.token_url = f"{INSIDE}/oauth/token"
c.GenericOAuthenticator.userdata_url = f"{INSIDE}/oauth/userinfo"
c.GenericOAuthenticator.username_claim = "username"
c.GenericOAuthenticator.enable_pkce = True

c.Spawner.pre_spawn_hook = hand_on_token
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = 120
c.Spawner.mem_limit = "1.5G"
if os.environ.get("COLDSTART_HUB_SPAWNER", "docker") == "docker":
    c.JupyterHub.spawner_class = "docker"
    c.JupyterHub.hub_ip = "0.0.0.0"
    c.JupyterHub.hub_connect_ip = os.environ.get("COLDSTART_HUB_NAME", "hub")
    c.DockerSpawner.image = os.environ.get("COLDSTART_LEARNER_IMAGE", "coldstart-learner:latest")
    c.DockerSpawner.network_name = os.environ.get("COLDSTART_HUB_NETWORK", "coldstart_default")
    c.DockerSpawner.remove = True
    c.DockerSpawner.volumes = {"coldstart-{username}": "/home/learner/work"}
    c.DockerSpawner.extra_host_config = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    c.DockerSpawner.cmd = ["python", "/srv/coldstart/workspaces.py"]
else:
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = (
        os.environ.get("COLDSTART_HUB_HOMES", "/tmp") + "/{username}"
    )
    c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
    c.Spawner.cmd = [sys.executable, str(HERE / "workspaces.py")]
