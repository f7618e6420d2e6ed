"""Paths and header names that hub and agent share.

| path | who may | what |
|---|---|---|
| ``GET /v1/ca`` | anyone | CA bundle, to compare with a token's pin |
| ``POST /v1/join`` | a join token | `JoinRequest` -> `JoinAnswer` |
| ``GET /v1/nonce`` | anyone | `NonceAnswer`, for a renewal by proof |
| ``POST /v1/renew`` | certificate or proof | `RenewRequest` -> `RenewAnswer` |
| ``GET /v1/assignment?wait=SECONDS`` | certificate | `SignedHead` with ETag; 304 unchanged; 204 none yet |
| ``GET /v1/sections/DIGEST``, ``GET /v1/artifacts/DIGEST`` | certificate | bytes, or 404 |
| ``POST /v1/fetch`` | certificate | `FetchRequest` -> `fleet.wire.frames` |
| ``POST /v1/report`` | certificate | `Report` -> `ReportAnswer` |
| ``GET /v1/requests`` | certificate | `fleet.wire.requests.ReadRequests`: what people ask of this cluster |
| ``POST /v1/requests/ID`` | certificate | frames, streamed; or an error with `FAILED_HEADER`; 410: nobody waits any more |

Request bodies may be gzip (``Content-Encoding``); answers are where ``Accept-Encoding`` says so.
"""

from __future__ import annotations

CA = "/v1/ca"
JOIN = "/v1/join"
NONCE = "/v1/nonce"
RENEW = "/v1/renew"
ASSIGNMENT = "/v1/assignment"
SECTIONS = "/v1/sections"
ARTIFACTS = "/v1/artifacts"
FETCH = "/v1/fetch"
REPORT = "/v1/report"
REQUESTS = "/v1/requests"

INSTANCE_HEADER = "Fleet-Instance"
"""Random id of one agent process, the same for its life: how the hub tells a reconnect from a copied identity."""

REQUESTS_HEADER = "Fleet-Requests"
"""On an answer to an assignment poll: so many reads wait to be fetched."""

FAILED_HEADER = "Fleet-Failed"
"""On the answer to a read: it failed before it began; the status that says how, with an error as body."""

MAX_WAIT = 30.0
"""Seconds the hub holds an assignment poll at most."""
