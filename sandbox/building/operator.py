"""The operator's way to package registries, read from the settings of their own clients.

Only we use it: what a build sees is a door without credentials. Unknown settings are left alone.
"""

from __future__ import annotations

import base64
import os
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

NPM_DEFAULT = "https://registry.npmjs.org/"
MAVEN_DEFAULT = "https://repo.maven.apache.org/maven2/"
GO_DEFAULT = "https://proxy.golang.org"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a registry answers. ``prefix`` says which paths it is asked for (empty: all)."""

    base: str
    authorization: str = field(default="", repr=False)
    prefix: str = ""

    def url_of(self, path: str) -> str:
        """The address of a path as a client of ours asks for it.

        Addresses of files within a registry's answers keep their whole path, so a path that begins as
        the base does is taken as absolute.
        """
        base = urllib.parse.urlsplit(self.base)
        root = base.path.rstrip("/")
        if root and path.startswith(root + "/"):
            return f"{base.scheme}://{base.netloc}{path}"
        return f"{base.scheme}://{base.netloc}{root}{path}"


def extra_certificates(environ: Mapping[str, str]) -> Iterator[str]:
    """Files of certificate authorities that clients were told to trust besides the system's."""
    for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "PIP_CERT"):
        if environ.get(name):
            yield environ[name]
    settings = _npm_settings(environ)
    if settings.get("cafile"):
        yield settings["cafile"]
    yield "/etc/ssl/certs/ca-certificates.crt"


def npm_upstreams(environ: Mapping[str, str]) -> tuple[Upstream, ...]:
    """The npm registry, and those of scopes, from npmrc files and ``NPM_CONFIG_REGISTRY``."""
    settings = _npm_settings(environ)
    scoped = [
        Upstream(address, _npm_authorization(settings, address), name.removesuffix(":registry"))
        for name, address in settings.items()
        if name.startswith("@") and name.endswith(":registry")
    ]
    address = settings.get("registry") or NPM_DEFAULT
    return (*scoped, Upstream(address, _npm_authorization(settings, address)))


def _npm_settings(environ: Mapping[str, str]) -> dict[str, str]:
    home = environ.get("HOME", "")
    places = ["/etc/npmrc", "/usr/etc/npmrc", environ.get("NPM_CONFIG_GLOBALCONFIG", "")]
    places.append(environ.get("NPM_CONFIG_USERCONFIG") or (f"{home}/.npmrc" if home else ""))
    found: dict[str, str] = {}
    for place in places:
        if place and Path(place).is_file():
            found |= _read_npmrc(Path(place), environ)
    for name, value in environ.items():
        if name.lower().startswith("npm_config_"):
            found[name[len("npm_config_") :].lower()] = value
    return found


def _read_npmrc(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith((";", "#")):
            value = re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match[1], match[0]), value.strip())
            found[name.strip()] = value.strip("\"'")
    return found


def _npm_authorization(settings: Mapping[str, str], address: str) -> str:
    """npm keeps credentials by address without its scheme, for that address and what lies below."""
    key = re.sub(r"^https?:", "", address)
    while key.count("/") >= 3 or not key.endswith("/"):
        key = key if key.endswith("/") else key + "/"
        if token := settings.get(f"{key}:_authToken"):
            return f"Bearer {token}"
        if basic := settings.get(f"{key}:_auth"):
            return f"Basic {basic}"
        key = key.rstrip("/").rpartition("/")[0] + "/"
        if key == "//":
            break
    return ""


def go_upstreams(environ: Mapping[str, str]) -> tuple[Upstream, ...]:
    """The module proxies of ``GOPROXY``; ``direct`` would run version control and is left out."""
    value = environ.get("GOPROXY") or _go_env_file(environ).get("GOPROXY") or GO_DEFAULT
    found = [part.strip() for part in re.split(r"[,|]", value)]
    return tuple(_without_password(part) for part in found if part.startswith(("http://", "https://")))


def go_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """How modules are verified: the operator's checksum database settings."""
    file = _go_env_file(environ)
    names = ("GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOSUMCHECK")
    return {name: value for name in names if (value := environ.get(name) or file.get(name, ""))}


def _go_env_file(environ: Mapping[str, str]) -> dict[str, str]:
    path = environ.get("GOENV") or os.path.join(environ.get("HOME", ""), ".config/go/env")
    try:
        lines = Path(path).read_text("utf-8").splitlines() if path != "off" else []
    except OSError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name}


def maven_upstreams(environ: Mapping[str, str]) -> tuple[Upstream, ...]:
    """Maven Central, or the mirror that the operator's settings.xml puts before it."""
    home = environ.get("HOME", "")
    for place in (f"{home}/.m2/settings.xml" if home else "", "/etc/maven/settings.xml"):
        if place and Path(place).is_file():
            found = _maven_mirror(Path(place), environ)
            if found is not None:
                return (found,)
    return (Upstream(MAVEN_DEFAULT),)


def _maven_mirror(path: Path, environ: Mapping[str, str]) -> Upstream | None:
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError):
        return None
    for mirror in root.iterfind("{*}mirrors/{*}mirror"):
        of = {part.strip() for part in (mirror.findtext("{*}mirrorOf") or "").split(",")}
        address = (mirror.findtext("{*}url") or "").strip()
        if not of & {"*", "central", "external:*"} or not address.startswith(("http://", "https://")):
            continue
        if (mirror.findtext("{*}blocked") or "").strip() == "true":
            continue
        wanted = (mirror.findtext("{*}id") or "").strip()
        for server in root.iterfind("{*}servers/{*}server"):
            if (server.findtext("{*}id") or "").strip() == wanted:
                name = _expanded(server.findtext("{*}username") or "", environ)
                password = _expanded(server.findtext("{*}password") or "", environ)
                return Upstream(address, _basic(name, password))
        return _without_password(address)
    return None


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    return re.sub(r"\$\{env\.(\w+)\}", lambda match: environ.get(match[1], ""), text.strip())


def _without_password(address: str) -> Upstream:
    parts = urllib.parse.urlsplit(address)
    if parts.username is None:
        return Upstream(address)
    host = parts.netloc.rpartition("@")[2]
    bare = urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
    name, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    return Upstream(bare, _basic(name, password))


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
