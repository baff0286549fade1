"""Director's routes: periodic tasks."""

from datetime import datetime
from typing import Any, Final

from aiohttp import web
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode

from sidecar.server.http.call import Call, json_response
from sidecar.server.http.director_query import conditions
from sidecar.server.http.refusals import Refused
from sidecar.server.http.route_table import HttpRoute

TASKS: Final = "/api/v1/tasks"
_ONLY_SHOWN: Final = frozenset({"created", "every", "warnings"})
_BADGE: Final = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img">\
<title>task: {text}</title>\
<rect width="36" height="20" fill="#555"/><rect x="36" width="{rest}" height="20" fill="{color}"/>\
<g fill="#fff" font-family="Verdana,sans-serif" font-size="11"><text x="6" y="14">task</text>\
<text x="42" y="14">{text}</text></g></svg>"""
_STATES: Final = {True: ("running", "#4c1", 64), False: ("stopped", "#e05d44", 64)}


class DirectorRoutes:
    """The table of Director."""

    def routes(self) -> list[HttpRoute]:
        """All of them; a task may be called `test`, too."""
        table = {
            f"{TASKS}": {"GET": self.list_tasks, "POST": self.create},
            f"{TASKS}/test": {"GET": self.show, "PUT": self.update, "DELETE": self.delete, "POST": self.test},
            f"{TASKS}/{{id}}": {"GET": self.show, "PUT": self.update, "DELETE": self.delete},
            f"{TASKS}/{{id}}/status": {"GET": self.status},
            f"{TASKS}/{{id}}/status/{{action}}": {"PUT": self.switch, "POST": self.switch},
            f"{TASKS}/{{id}}/run": {"POST": self.run, "PUT": self.run},
            f"{TASKS}/{{id}}/badge": {"GET": self.badge},
        }
        return [
            HttpRoute(method, path, handler, coded)
            for path, methods in table.items()
            for method, handler in methods.items()
        ]

    async def list_tasks(self, call: Call) -> web.Response:
        """Every task whose members are as the query has them."""
        wanted = conditions(call.query)
        if wanted is None:
            return json_response(b"[]")
        tasks: list[Any] = []
        page, pages = 1, 1
        while page <= pages:  # of all tasks: each page of a selection would cost a search through all of them
            content = (await call.gateway.send("list_tasks", {"page": page})).content
            tasks += [task for task in content["tasks"] if all(one.holds(task) for one in wanted)]
            page, pages = page + 1, content["total_pages"]
        return json_response(encode(tasks))

    async def create(self, call: Call) -> web.Response:
        """Adds a task."""
        try:
            answer = await call.gateway.send("create_task", _task(await call.json()))
        except Refused as refused:
            if refused.code is not ErrorCode.CONFLICT:
                raise
            raise _refused("Task already exists") from None
        return json_response(answer.raw)

    async def show(self, call: Call) -> web.Response:
        """One task."""
        return json_response((await _ask(call, "get_task")).raw)

    async def update(self, call: Call) -> web.Response:
        """Replaces parts of a task."""
        task = _task(await call.json())
        if task.setdefault("id", _id(call)) != _id(call):
            raise _refused("id: is not the one of the path")
        await call.gateway.send("update_task", task)
        return _said(201, "Updated")

    async def delete(self, call: Call) -> web.Response:
        """Forgets a task."""
        await _ask(call, "delete_task")
        return _said(202, "Deleted")

    async def status(self, call: Call) -> web.Response:
        """Whether a task runs, and when next."""
        status = (await _ask(call, "get_task_status")).content
        due = status["next_execution"]
        milliseconds = str(round(datetime.fromisoformat(due).timestamp() * 1000)) if due else None
        return json_response(encode({"id": status["id"], "running": status["running"], "nextExecution": milliseconds}))

    async def switch(self, call: Call) -> web.Response:
        """Starts or stops a task, or whichever it is not."""
        action = call.parameters["action"]
        is_running = (await _ask(call, "get_task")).content["running"]
        if action not in ("start", "stop", "switch"):
            raise _refused("Action not permitted")
        if action == "start" and is_running:
            raise _refused("Task already running")
        if action == "stop" and not is_running:
            raise _refused("Task is not running")
        await _ask(call, "stop_task" if is_running else "start_task")
        return await self.show(call)

    async def run(self, call: Call) -> web.Response:
        """Runs a task now; what its script returns is the answer."""
        return _result((await _ask(call, "run_task")).content["result"])

    async def test(self, call: Call) -> web.Response:
        """Runs a script that is not kept."""
        body = await call.json()
        if not isinstance(body, dict) or not isinstance(body.get("scriptText"), str):
            raise _refused("scriptText: expected str")
        content = {"script_text": body["scriptText"], "config": body.get("scriptConfig") or {}}
        return _result((await call.gateway.send("test_task", content)).content["result"])

    async def badge(self, call: Call) -> web.Response:
        """Its state as a picture."""
        text, color, rest = _STATES[(await _ask(call, "get_task")).content["running"]]
        picture = _BADGE.format(text=text, color=color, rest=rest, width=36 + rest)
        return web.Response(text=picture, content_type="image/svg+xml", headers={"Cache-Control": "no-store"})


def coded(refused: Refused) -> web.Response:
    """An error in Director's form."""
    status = 500 if refused.code is ErrorCode.ACTION_FAILED else refused.status
    message = "Not Found" if refused.code is ErrorCode.NOT_FOUND else refused.message
    return json_response(encode({"code": status, "message": message}), status, refused.headers)


async def _ask(call: Call, kind: str) -> Any:
    return await call.gateway.send(kind, {"id": _id(call)})


def _id(call: Call) -> str:
    return call.parameters.get("id", "test")


def _task(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise _refused("expected an object")
    return {name: value for name, value in body.items() if name not in _ONLY_SHOWN}


def _result(result: Any) -> web.Response:
    """A text as it is, anything else as JSON."""
    if isinstance(result, str):
        return web.Response(text=result, headers={"X-Content-Type-Options": "nosniff"})
    return json_response(encode(result))


def _said(code: int, message: str) -> web.Response:
    return json_response(encode({"code": code, "message": message}), code)


def _refused(message: str) -> Refused:
    return Refused.because(ErrorCode.INVALID_CONTENT, message)
