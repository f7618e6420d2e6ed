"""What people see of rollouts and say to them: the calls of `fleet.wire.rollouts`."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from fleet.rollouts.orders import Options, Order
from fleet.wire import api
from fleet.wire import rollouts as wire
from hub.peoplehttp import NotFound, json_answer, read_body
from hub.rollouts import Rollouts
from hub.rolloutviews import RolloutViews


@dataclass(slots=True, kw_only=True)
class RolloutApi:
    """Handlers below ``/api/v1/rollouts``."""

    views: RolloutViews
    rollouts: Rollouts

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{prefix}/rollouts", self.list_all),
            web.get(f"{prefix}/rollouts/{{name}}", self.show),
            web.post(f"{prefix}/rollouts/{{name}}/{{order}}", self.tell),
        ]

    async def list_all(self, _request: web.Request) -> web.Response:
        """Every set with a rollout."""
        return json_answer(self.views.rows())

    async def show(self, request: web.Request) -> web.Response:
        """One of them."""
        return json_answer(self.views.detail(request.match_info["name"]))

    async def tell(self, request: web.Request) -> web.Response:
        """Carry out an order."""
        name, word = request.match_info["name"], request.match_info["order"]
        if word not in set(Order):
            raise NotFound(f"there is no order {word!r}; there are: {', '.join(Order)}")
        asked = await read_body(request, wire.RolloutOrder)
        self.views.detail(name)
        options = Options(reason=asked.reason, full=asked.full, take_back=asked.take_back)
        message = await self.rollouts.order(name, Order(word), options)
        return json_answer(api.Message(message=message))
