"""Browsers of allowed origins may use the API; preflight requests need no key."""

from __future__ import annotations

import httpx
import pytest

import steiner
from steiner.serving.settings import Settings
from steiner.types import UserError

ORIGIN = "https://app.example.org"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
}


def _preflight(url, origin=ORIGIN):
    headers = PREFLIGHT | {"Origin": origin}
    return httpx.options(f"{url}/v1/chat/completions", headers=headers)


def test_preflight_comes_before_the_key(serve):
    with serve(Settings(api_key="secret", allow_origins=(ORIGIN,))) as running:
        answer = _preflight(running.url)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "authorization" in answer.headers["access-control-allow-headers"]
        assert "access-control-allow-origin" not in _preflight(running.url, "https://x.org").headers
        refused = httpx.get(f"{running.url}/v1/models", headers={"Origin": ORIGIN})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_without_the_option_no_other_origin_is_allowed(served):
    assert "access-control-allow-origin" not in _preflight(served.url).headers
    answer = httpx.get(f"{served.url}/v1/models", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "https://a/b", ""])
def test_an_origin_has_a_scheme_and_no_path(origin):
    with pytest.raises(UserError, match="is not an origin"):
        Settings(allow_origins=(origin,))


def test_names_that_health_checks_expect(served):
    assert httpx.get(f"{served.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{served.url}/version").json() == {"version": steiner.__version__}
