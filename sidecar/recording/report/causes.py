"""Says why things failed: what is shown first in a report."""

from typing import Any, Final

MAX_FAILURES: Final = 60
_HINTS: Final = {
    "not_recorded": "The replay needed something that was not recorded.",
    "browser_crashed": "The browser or its page crashed.",
    "browser_unavailable": "No browser could be started; `sidecar doctor` says what is missing.",
    "unauthorized": "The server or a token refused the credentials.",
    "missing_credentials": "No credentials were set when this was asked.",
    "remote_unreachable": "The server could not be reached.",
    "queue_full": "Too many jobs were waiting.",
}
"""Error code -> a sentence about it."""


def failures(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Failed jobs, then failed requests, deliveries that never arrived, and exchanges; each with its causes."""
    found = [_of_job(job) for job in data["jobs"] if job["ok"] is False]
    jobs = {job["seq"] for job in data["jobs"] if job["seq"] is not None}
    messages = (one for one in data["messages"] if one["ok"] is False)
    found += [_of_message(one) for one in messages if one["seq"] not in jobs]
    found += [_of_delivery(one) for one in data["webhooks"] if not one["ok"]]
    if not found:
        found += [_of_exchange(one) for one in data["servers"] if not one["ok"]]
    return found[:MAX_FAILURES]


def _of_job(job: dict[str, Any]) -> dict[str, Any]:
    failure = job["failure"] or {"message": "the job failed", "code": "", "step": None, "action": "", "url": ""}
    place: int | None = failure["step"]
    step = job["steps"][place] if place is not None and place < len(job["steps"]) else None
    where = f"step {place + 1} of the job, “{step['name']}”" if step and place is not None else ""
    return {
        "kind": "job",
        "link": f"job-{job['n']}",
        "title": job["name"],
        "message": failure["message"],
        "code": failure["code"],
        "where": where,
        "url": page if (page := failure["url"]) and not page.startswith("about:") else step["url"] if step else "",
        "job": job["n"],
        "causes": _job_causes(job, failure, step),
    }


def _job_causes(job: dict[str, Any], failure: dict[str, Any], step: dict[str, Any] | None) -> list[str]:
    causes = []
    target = failure.get("target")
    if target:
        causes.append(_target_sentence(target))
    if hint := _HINTS.get(failure["code"]):
        causes.append(hint)
    if step and step["status"] and step["status"] >= 400:
        causes.append(f"The page answered with status {step['status']}.")
    if step and step["errors"]:
        count = len(step["errors"])
        said = "Its scripts failed" if count == 1 else f"Its scripts failed {count} times"
        causes.append(f"{said}, last with: {step['errors'][-1]}")
    broken = [one for one in job["network"] if not one["ok"] and one["status"] != 304]
    if broken:
        last = broken[-1]
        outcome = last["failure"] or (f"status {last['status']}" if last["status"] else "no response")
        many = f"{len(broken)} of its requests failed" if len(broken) > 1 else "One of its requests failed"
        causes.append(f"{many}: {last['method']} {last['url']} ({outcome}).")
    return causes


def _target_sentence(target: dict[str, Any]) -> str:
    selector, found, box, view = target["selector"], target["found"], target["box"], target["viewport"]
    if found is None:
        return f"Whether `{selector}` was on the page could not be seen."
    if not found:
        return f"`{selector}` matched nothing on the page when it failed."
    many = (
        f"`{selector}` matched {found} elements; the first one"
        if found > 1
        else f"`{selector}` matched one element, which"
    )
    if not box or not (box["width"] and box["height"]):
        return f"{many} was not visible."
    if view and not (box["y"] + box["height"] >= 0 and box["y"] <= view["height"]):
        side = "below" if box["y"] > view["height"] else "above"
        return f"{many} was {side} what the picture shows."
    return f"{many} was visible, and is marked in the picture."


def _of_message(one: dict[str, Any]) -> dict[str, Any]:
    causes = [hint] if (hint := _HINTS.get(one["code"])) else []
    return {
        "kind": "request",
        "link": f"request-{one['seq']}",
        "title": one["type"],
        "message": one["error"],
        "code": one["code"],
        "where": f"request {one['seq']}",
        "url": "",
        "job": None,
        "causes": causes,
    }


def _of_delivery(one: dict[str, Any]) -> dict[str, Any]:
    last = one["attempts"][-1] if one["attempts"] else {"failure": "", "status": 0}
    said = last["failure"] or f"the receiver answered {last['status']}"
    tries = len(one["attempts"])
    return {
        "kind": "delivery",
        "link": f"delivery-{one['id']}",
        "title": one["what"] or "webhook",
        "message": f"a delivery did not arrive after {tries} {'attempt' if tries == 1 else 'attempts'}: {said}",
        "code": "",
        "where": one["host"],
        "url": one["url"],
        "job": None,
        "causes": [],
    }


def _of_exchange(one: dict[str, Any]) -> dict[str, Any]:
    said = one["failure"] or f"status {one['status']}"
    return {
        "kind": "exchange",
        "link": f"exchange-{one['n']}",
        "title": f"{one['method']} {one['url']}",
        "message": f"an exchange with a server failed: {said}",
        "code": "",
        "where": "",
        "url": "",
        "job": None,
        "causes": [],
    }
