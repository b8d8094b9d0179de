"""Every refusal and failure that Tollkeeper can state, as one closed list of kinds.

Kinds carry no HTTP status: each plane owns one exhaustive table from kind to answer
(`proxy/refusals.py`, `control/refusals.py`), and the CLI one exit code.
"""

from enum import StrEnum


class Kind(StrEnum):
    """What went wrong, in the words of the contract, §4."""

    INVALID = "invalid_request"
    TOO_LARGE = "request_too_large"
    BAD_KEY = "invalid_api_key"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_UNKNOWN = "model_not_found"
    PRICE_UNKNOWN = "price_unknown"
    BUDGET_SPENT = "insufficient_quota"
    """Money that is gone: another try makes no sense before the window begins anew."""
    RATE = "rate_limit_exceeded"
    """A rate, calls in flight, or money that others only hold: another try makes sense in a moment."""
    MAX_COST = "max_cost_exceeded"
    UNKNOWN_URL = "unknown_url"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED = "not_in_this_version"
    LOOP = "loop_detected"
    UPSTREAM = "upstream_error"
    UPSTREAM_UNCERTAIN = "upstream_uncertain"
    """As `UPSTREAM`, but the upstream may have billed the attempt: nobody should repeat it blindly."""
    TIMEOUT = "upstream_timeout"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    INTERNAL = "internal"


class Fault(Exception):
    """A stated error: what happened, where, and what to do about it.

    `message` is one sentence for a person, `hint` what to do, `param` the field that is wrong,
    `retry_after` seconds after which another try makes sense, if any.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.param = param
        self.retry_after = retry_after

    @property
    def sentence(self) -> str:
        """Message and hint as one text, the way a person reads it."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


def not_in_this_version(what: str) -> Fault:
    """The refusal that the contract asks for: never accept in silence what is not carried out."""
    return Fault(Kind.UNSUPPORTED, f"{what} are not in this version")


class UpstreamFault(Fault):
    """An attempt that gave no answer: no connection, a timeout, a line that broke.

    `uncertain` says whether the upstream may have billed it: true as soon as the request was sent.
    """

    def __init__(self, message: str, *, uncertain: bool, timeout: bool = False) -> None:
        kind = Kind.TIMEOUT if timeout else Kind.UPSTREAM_UNCERTAIN if uncertain else Kind.UPSTREAM
        super().__init__(kind, message)
        self.uncertain = uncertain
