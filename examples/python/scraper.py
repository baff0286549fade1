"""Scrapes the demo's shop: logs in, reads the catalogue and sends every item in stock to RT-CV, once.

The environment names the shop and the server: SHOP_URL, RTCV_URL, RTCV_KEY_ID, RTCV_KEY,
RTCV_ENCRYPTION_KEY.
"""

import os
import sys
import time
from typing import Any

from sidecar.client import Sidecar, SidecarFailure
from sidecar.client.requests import Field, SecretSource, SendJob, Step

SHOP = os.environ.get("SHOP_URL", "http://127.0.0.1:8000")

ITEMS: Field = {
    "selector": ".item",
    "all": True,
    "fields": {
        "sku": ".sku",
        "title": ".title",
        "description": ".description",
        "price": ".price",
        "stock": ".stock",
        "link": {"selector": ".title", "attribute": "href"},
    },
}
"""The extract of a catalogue page: a list of objects, one for each `.item`."""


LOG_IN: Step = {
    "name": "log in",
    "url": f"{SHOP}/login",
    "actions": [
        {"fill": {"selector": "#username", "value": "{{shop.username}}"}},
        {"fill": {"selector": "#password", "value": "{{shop.password}}"}},
        {"click": "#log-in"},
        {"wait_for_url": "**/catalogue*"},
    ],
}
"""The first step of every job, since jobs share no cookies. The sidecar fills the login in."""


def secrets() -> dict[str, SecretSource]:
    """Names the secret on the RT-CV server that holds the shop's login; the scraper never sees it."""
    return {"shop": {"key": "user", "encryption_key": os.environ["RTCV_ENCRYPTION_KEY"]}}


def catalogue_page(number: int) -> Step:
    """The step that reads one page; its items are in the result under the page's own name."""
    return {"name": f"page {number}", "url": f"{SHOP}/catalogue?page={number}", "extract": {f"page {number}": ITEMS}}


def read_catalogue(sidecar: Sidecar) -> list[dict[str, Any]]:
    """Every item of the shop, by two browser jobs: one counts the pages, one reads them all."""
    began = time.monotonic()
    job: SendJob = {"name": "look around", "steps": [LOG_IN | {"extract": {"pages": ".pages"}}], "secrets": secrets()}
    pages = int(sidecar.send_job(job)["result"]["extract"]["pages"])
    print(f"  logged in to {SHOP} with the login that RT-CV keeps; the catalogue has {pages} pages")

    numbers = range(1, pages + 1)
    job = {
        "name": "catalogue",
        "steps": [LOG_IN, *map(catalogue_page, numbers)],
        "secrets": secrets(),
        "options": ["SCREENSHOT"],
        "artifacts": "files",
    }
    result = sidecar.send_job(job)["result"]
    items = [item for number in numbers for item in result["extract"][f"page {number}"]]
    print(f"  read {len(items)} items from {pages} pages in {time.monotonic() - began:.1f} s")
    print(f"  screenshot of the last page: {result['screenshot']}")
    return items


def send(sidecar: Sidecar, items: list[dict[str, Any]]) -> None:
    """Sends what is in stock and was not sent before, and prints the results."""
    sent, known = 0, 0
    in_stock = [item for item in items if item["stock"] == "In stock"]
    for item in in_stock:
        if sidecar.is_remembered(item["sku"]):
            known += 1
            continue
        cv = {
            "referenceNumber": item["sku"],
            "title": item["title"],
            "description": item["description"],
            "price": item["price"],
            "link": SHOP + item["link"],
        }
        matched = sidecar.send_cv(cv)
        sent += 1
        print(f"  sent {item['sku']}  {item['title']:<22} {item['price']:>8}  {'matched' if matched else 'no match'}")
    print(f"  {len(in_stock)} in stock: {sent} sent, {known} were sent before")


def main() -> int:
    """Runs the scraper once. The exit code is 1 if the sidecar reports a failure."""
    try:
        with Sidecar() as sidecar:
            print(f"  the sidecar is ready: version {sidecar.ready['version']}, process {sidecar.ready['pid']}")
            sidecar.login(os.environ["RTCV_URL"], os.environ["RTCV_KEY_ID"], os.environ["RTCV_KEY"])
            print("  logged in to RT-CV")
            send(sidecar, read_catalogue(sidecar))
    except SidecarFailure as failure:
        print(
            f"  failed: {failure}", file=sys.stderr
        )  # the message and a hint; code, retryable, fields are for programs
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
