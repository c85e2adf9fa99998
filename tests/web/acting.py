"""Users of a site in tests: who is logged in is set, and forms are sent with their token."""

from __future__ import annotations

import re

from imagetree.web.site import User

ADA = User(1, "Ada", "curator")
BOB = User(2, "Bob", "annotator")
EVE = User(3, "Eve", "visitor")
TOKENS = {"ada-token": ADA, "bob-token": BOB, "eve-token": EVE}


class Acting:
    """Whoever is set, or whose token a request carries."""

    def __init__(self, user=None):
        self.user = user

    def user_of(self, request):
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return TOKENS.get(token, self.user)


def act_as(client, user):
    """From now on the client's requests come from a user."""
    client.app.state.site.users = Acting(user)


def send(client, path, fields):
    """POST a form with the token of a visitor; where it leads is not followed."""
    if "csrf" not in client.cookies:
        client.cookies.set("csrf", "t" * 43)
    data = {**fields, "csrf": client.cookies["csrf"]}
    return client.post(path, data=data, follow_redirects=False)


def hidden_fields(html):
    """Names and values of the hidden fields of a page, each form's token left out."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', html)
    return [(name, value) for name, value in found if name not in {"csrf", "next"}]
