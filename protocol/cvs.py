"""The message that sends a CV. Its content is free and reaches the server byte for byte."""

import msgspec


class Cv(msgspec.Struct, frozen=True, rename={"camel": "referenceNumber", "snake": "reference_number"}):
    """The one member of a CV that the sidecar reads; `camel` is v1's code, `snake` v1's README."""

    camel: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    snake: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
