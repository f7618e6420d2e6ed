"""Joining a hub, and getting the next certificate: by the one that is valid, or by proof of its key once it is not.

The order is what makes it safe to be killed anywhere: the new private key is stored before it is used in a request,
and the hub answers the same request by the same certificate. A hub whose CA key is not the one that the join token
names is refused before anything is sent to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from agents import child
from agents.identity import Identity
from agents.transport import Transport
from fleet.errors import BadInput, Where
from fleet.runtime import log as fields
from fleet.wire import codec, routes
from fleet.wire.enrolment import (
    AgentHints,
    CaAnswer,
    JoinAnswer,
    JoinRequest,
    NonceAnswer,
    RenewAnswer,
    RenewRequest,
)
from fleet.wire.token import JoinToken

log = structlog.get_logger(__name__)

Save = Callable[[Identity], Awaitable[None]]
"""Keeps an identity; durable when it returns."""


def read_token(path: Path) -> JoinToken:
    """Read the join token; raises BadInput with the file's name."""
    try:
        text = path.read_text()
    except OSError as error:
        raise BadInput(
            f"the join token cannot be read: {error.strerror or error}",
            where=Where(file=str(path)),
            hint="fleet cluster add prints it",
        ) from error
    try:
        return JoinToken.parse(text)
    except BadInput as error:
        error.at(file=str(path))
        raise


async def join(
    transport: Transport,
    token: JoinToken,
    *,
    started: Identity,
    save: Save,
) -> tuple[Identity, AgentHints]:
    """Become the cluster that the token is for; ``started`` may hold the key of an earlier, unanswered try."""
    if not started.ca_bundle:
        await transport.use(None)
        offered = codec.decode((await transport.get(routes.CA)).body, CaAnswer)
        pinned = await child.enrol({"op": "pin", "bundle": offered.ca_bundle, "pin": token.ca_pin})
        started = msgspec.structs.replace(started, ca_bundle=pinned["bundle"], token_id=token.id)
    started, csr = await _with_key(started, save)
    await transport.use(started)
    reply = await transport.post(
        routes.JOIN, JoinRequest(token=token.text(), csr=csr, cluster_uid=started.cluster_uid)
    )
    answer = codec.decode(reply.body, JoinAnswer)
    joined = msgspec.structs.replace(
        started,
        hub=answer.hub,
        cluster=answer.cluster,
        cluster_id=answer.cluster_id,
        signing_keys=answer.signing_keys,
    )
    joined = await _certified(joined, answer.certificate, answer.ca_bundle)
    await save(joined)
    await transport.use(joined)
    log.info("joined", **{fields.CLUSTER: joined.cluster})
    return joined, answer.agent


async def renew(
    transport: Transport, identity: Identity, *, save: Save, by_proof: bool
) -> tuple[Identity, AgentHints]:
    """Get the next certificate, for a new key; ``by_proof`` where the hub does not take the present one."""
    identity, csr = await _with_key(identity, save)
    if by_proof:
        request = await _proven(transport, identity, csr)
    else:
        request = RenewRequest(csr=csr)
    answer = codec.decode((await transport.post(routes.RENEW, request)).body, RenewAnswer)
    renewed = await _certified(identity, answer.certificate, answer.ca_bundle)
    await save(renewed)
    log.info("certificate renewed", cluster=renewed.cluster, by_proof=by_proof)
    return renewed, answer.agent


async def _proven(transport: Transport, identity: Identity, csr: str) -> RenewRequest:
    # An expired certificate must not be shown: the handshake would fail.
    await transport.use(msgspec.structs.replace(identity, certificate="", key=""))
    nonce = codec.decode((await transport.get(routes.NONCE)).body, NonceAnswer).nonce
    proof = await child.enrol({"op": "prove", "key": identity.key, "csr": csr, "nonce": nonce})
    return RenewRequest(
        csr=csr,
        old_certificate=identity.certificate,
        nonce=nonce,
        signature=proof["signature"],
    )


async def _with_key(identity: Identity, save: Save) -> tuple[Identity, str]:
    """Make or take up the next key, stored before anybody sees its public half."""
    if identity.pending_key:
        again = await child.enrol({"op": "csr", "key": identity.pending_key})
        return identity, str(again["csr"])
    made = await child.enrol({"op": "new"})
    identity = msgspec.structs.replace(identity, pending_key=made["key"])
    await save(identity)
    return identity, str(made["csr"])


async def _certified(identity: Identity, certificate: str, ca_bundle: str) -> Identity:
    facts = await child.enrol({"op": "inspect", "certificate": certificate})
    return msgspec.structs.replace(
        identity,
        certificate=certificate,
        ca_bundle=ca_bundle or identity.ca_bundle,
        key=identity.pending_key,
        pending_key="",
        not_before=datetime.fromisoformat(facts["notBefore"]),
        not_after=datetime.fromisoformat(facts["notAfter"]),
    )
