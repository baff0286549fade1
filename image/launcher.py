#!/opt/sidecar/python/bin/python3 -I
"""Starts the sidecar of an image with its own interpreter; becomes /opt/sidecar/bin/sidecar."""

import os
import sys
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)
"""Where distributions keep the authorities that they trust; the interpreter knows Debian's place alone."""


def trust() -> None:
    """Names the image's own authorities to OpenSSL; certifi's where the image has none."""
    if "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ:
        return
    own = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "dist-packages", "certifi", "cacert.pem")
    os.environ["SSL_CERT_FILE"] = next((path for path in BUNDLES if Path(path).exists()), str(own))


trust()

from sidecar.__main__ import main  # noqa: E402  after the environment is set

main()
