"""Uses the stand-in for Strava as an application uses Strava through stravalib.

stravalib was written for the real Strava, so if the two disagree the stand-in is
wrong. Each disagreement ends the program with an error.

    client.py URL-OF-THE-STAND-IN strict|lenient

The environment variables STRAVA_CLIENT_ID and STRAVA_CLIENT_SECRET are the
application's. stravalib reads them, too.
"""

import json
import os
import queue
import sys
import threading
import time
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import requests
from stravalib import Client, exc
from stravalib.util.limiter import get_rates_from_response_headers

STANDIN, MODE = sys.argv[1:]
LENIENT = {"strict": False, "lenient": True}[MODE]
APP = {
    "client_id": int(os.environ["STRAVA_CLIENT_ID"]),
    "client_secret": os.environ["STRAVA_CLIENT_SECRET"],
}
ME, OTHER = 80_000_001, 80_000_002
SCOPE = ["read", "activity:read", "activity:read_all", "profile:read_all"]
STRAVA = "https://www.strava.com"


def expect(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")


def refused(what, kind, status, call):
    """Expects call to raise exactly kind with the status; returns the body."""
    try:
        call()
    except requests.exceptions.RequestException as e:
        if type(e) is not kind:
            raise
        expect(f"status of {what}", e.response.status_code, status)
        return e.response.text
    raise SystemExit(f"{what} was not refused")


class ToStandIn(requests.adapters.HTTPAdapter):
    """Sends requests for Strava to the stand-in."""

    def send(self, request, **kwargs):
        request.url = STANDIN + request.url.removeprefix(STRAVA)
        return super().send(request, **{**kwargs, "timeout": 10})


class Rates:
    """Replaces stravalib's rate limiter, which sleeps at a limit."""

    def __call__(self, headers, method):
        self.latest = get_rates_from_response_headers(headers, method)
        if self.latest is None:
            raise SystemExit(f"the response to a {method} has no rate headers")


session = requests.Session()
session.trust_env = False  # No proxies.
session.adapters.clear()  # No other host can be reached.
session.mount(STRAVA + "/", ToStandIn())
rates = Rates()
client = Client(requests_session=session, rate_limiter=rates)


def control(method, path, **body):
    """Calls the stand-in's control API."""
    data = None if method == "GET" else json.dumps(body).encode()
    request = Request(STANDIN + "/control" + path, data, method=method)
    with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def stored(athlete=ME):
    """Returns the athlete's activities at the stand-in, newest first."""
    return control("GET", f"/athletes/{athlete}/activities")


def connect():
    address = client.authorization_url(APP["client_id"], "http://localhost/callback", scope=SCOPE, state="a state")
    answer = session.get(f"{address}&as_athlete={ME}", allow_redirects=False)
    expect("status of the consent", answer.status_code, 302)
    back = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    expect("state", back["state"], "a state")
    expect("scope", back["scope"], ",".join(SCOPE))

    tokens, athlete = client.exchange_code_for_token(code=back["code"], return_athlete=True, **APP)
    expect("athlete who connected", athlete.id, ME)
    expect("life of the access token in hours", round((tokens["expires_at"] - time.time()) / 3600), 6)
    client.refresh_token, client.token_expires = tokens["refresh_token"], tokens["expires_at"]
    body = refused("a used code", exc.Fault, 400, lambda: Client(requests_session=session).exchange_code_for_token(code=back["code"], **APP))
    expect("reason", json.loads(body)["errors"][0]["code"], "invalid")


def profile():
    athlete = client.get_athlete()
    known = control("GET", "/athletes?limit=1")[0]
    expect("profile", (athlete.id, athlete.firstname, athlete.lastname), (ME, known["firstname"], known["lastname"]))
    expect("limits and usage", tuple(rates.latest), (1, 1, 100, 1000))
    if athlete.created_at is None or athlete.measurement_preference is None:
        raise SystemExit("the profile is not detailed")


def lists():
    def ids(activities):
        return [a.id for a in activities]

    def true_ids(keep=lambda start: True):
        return [a["id"] for a in everything if keep(datetime.fromisoformat(a["start"]))]

    everything = stored()
    if len(everything) <= 200:
        raise SystemExit(f"{len(everything)} activities fit on a page")
    listed = list(client.get_activities())
    expect("all activities", ids(listed), true_ids())
    for got, true in zip(listed, everything):
        want = true["summary"]
        # An invented sport, because Strava adds sports without notice.
        sport = want["sport_type"].replace("UnicycleHockey", "Workout")
        expect(
            f"activity {got.id}",
            (got.name, got.start_date, float(got.distance), got.moving_time, got.elapsed_time, got.sport_type.root, got.private, got.athlete.id),
            (want["name"], datetime.fromisoformat(true["start"]), want["distance"], want["moving_time"], want["elapsed_time"], sport, want["private"], ME),
        )
    expect("the newest five", ids(client.get_activities(limit=5)), true_ids()[:5])

    early, late = (datetime.fromisoformat(everything[i]["start"]) for i in (-10, 10))
    expect("after, oldest first", ids(client.get_activities(after=late)), true_ids(lambda s: s > late)[::-1])
    expect("before", ids(client.get_activities(before=early)), true_ids(lambda s: s < early))
    expect("between", ids(client.get_activities(after=early, before=late)), true_ids(lambda s: early < s < late))
    expect("none", ids(client.get_activities(after=late, before=late + timedelta(seconds=1))), [])

    single = client.get_activity(everything[0]["id"])
    expect("single activity", (single.id, single.name, single.embed_token is None), (listed[0].id, listed[0].name, False))
    count = sum(a["visibility"] == "everyone" and a["summary"]["type"] == "Ride" for a in everything)
    expect("rides in the statistics", client.get_athlete_stats(ME).all_ride_totals.count, count)


def refresh():
    def tokens():
        return client.access_token, client.refresh_token

    access, first = tokens()
    client.refresh_access_token(refresh_token=first, **APP)
    expect("with hours left, the access token stays and the refresh token changes", (tokens()[0] == access, tokens()[1] == first), (True, False))
    body = refused("a superseded refresh token", exc.Fault, 400, lambda: client.refresh_access_token(refresh_token=first, **APP))
    expect("reason", json.loads(body)["errors"], [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}])

    control("PUT", f"/athletes/{ME}/token-life", left="30m")
    client.refresh_access_token(refresh_token=client.refresh_token, **APP)
    expect("with half an hour left, the access token stays", tokens()[0] == access, False)
    older = Client(access_token=access, requests_session=session, rate_limiter=rates)
    expect("athlete of the older access token", older.get_athlete().id, ME)

    before = client.refresh_token
    client.token_expires = int(time.time()) - 1
    expect("athlete after stravalib's own refresh", client.get_athlete().id, ME)
    expect("the refresh token stayed", client.refresh_token == before, False)


def errors():
    newest, foreign = stored()[0]["id"], next(a["id"] for a in stored(OTHER) if a["visibility"] == "everyone")
    refused("an unknown activity", exc.ObjectNotFound, 404, lambda: client.get_activity(1))
    if LENIENT:
        expect("athlete of another's activity", client.get_activity(foreign).athlete.id, OTHER)
    else:
        refused("another's activity", exc.ObjectNotFound, 404, lambda: client.get_activity(foreign))

    control("PUT", f"/athletes/{ME}/activities/{newest}/corrupt")
    refused("a corrupt activity", exc.Fault, 500, lambda: client.get_activity(newest))
    refused("a list that holds it", exc.Fault, 500, lambda: list(client.get_activities()))
    control("DELETE", f"/athletes/{ME}/activities/{newest}/corrupt")

    control("POST", "/faults", endpoint="athlete", kind="503", rate_headers="on")
    refused("an outage", exc.Fault, 503, client.get_athlete)

    control("PATCH", "/settings", inactive=True)
    refused("an inactive application", exc.ApplicationInactive, 403, client.get_athlete)
    control("PATCH", "/settings", inactive=False)

    control("PUT", "/usage", read=[100, 500], overall=[100, 500])
    refused("too many calls", exc.Fault, 429, client.get_athlete)
    expect("usage", (rates.latest.short_usage, rates.latest.long_usage), (101, 501))
    control("PUT", "/usage", read=[0, 0], overall=[0, 0])

    control("PUT", f"/athletes/{ME}/token-life", left="0s")
    refused("an expired token", exc.AccessUnauthorized, 401, client.get_athlete)
    client.refresh_access_token(refresh_token=client.refresh_token, **APP)


class Callback(BaseHTTPRequestHandler):
    """The application's webhook. stravalib makes its responses."""

    events = queue.Queue()

    def do_GET(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        try:
            answer = client.handle_subscription_callback(query, "a verify token")
        except AssertionError:
            self.send_error(403)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def do_POST(self):
        self.events.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def subscription():
    server = HTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/webhook"

    def create(token):
        return client.create_subscription(callback_url=address, verify_token=token, **APP)

    def listed():
        return [(s.id, s.callback_url, s.application_id) for s in client.list_subscriptions(**APP)]

    expect("subscriptions at first", listed(), [])
    refused("a subscription with another verify token", exc.Fault, 400, lambda: create("another"))
    made = create("a verify token")
    expect("subscriptions", listed(), [(made.id, address, APP["client_id"])])
    expect("usage of the subscription endpoints", tuple(rates.latest), (0, 0, 100, 1000))
    refused("a second subscription", exc.Fault, 400, lambda: create("a verify token"))

    new = control("POST", f"/athletes/{ME}/activities", name="Evening Ride")["id"]
    event = client.handle_subscription_update(Callback.events.get(timeout=10))
    expect(
        "event",
        (event.subscription_id, event.owner_id, event.object_id, event.object_type, event.aspect_type, event.updates),
        (made.id, ME, new, "activity", "create", {}),
    )
    expect("the event's activity", client.get_activity(new).name, "Evening Ride")

    client.delete_subscription(made.id, **APP)
    expect("subscriptions at last", listed(), [])
    refused("a second deletion", exc.ObjectNotFound, 404, lambda: client.delete_subscription(made.id, **APP))


def leave():
    client.deauthorize()
    client.token_expires += 1_000_000  # Otherwise stravalib refreshes first.
    refused("a call after leaving", exc.AccessUnauthorized, 401, client.get_athlete)


for step in connect, profile, lists, refresh, errors, subscription, leave:
    print(step.__name__, flush=True)
    step()
