"""Errors in the words of OpenAI's API, and of Anthropic's."""

from __future__ import annotations

from typing import Any

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """What a client is told in place of an answer."""

    def __init__(
        self, status: int, message: str, param: str | None = None, *, code: str | None = None
    ) -> None:
        """An error.

        Args:
            status: Of HTTP.
            message: What was received, what was expected, how to mend it.
            param: Member of the request that is wrong.
            code: A word for programs.
        """
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def to_dict(self) -> dict[str, Any]:
        """The body of the response.

        Example:
            >>> ApiError(404, "No such model.", "model").to_dict()["error"]["type"]
            'invalid_request_error'
        """
        fallback = "invalid_request_error" if self.status < 500 else "upstream_error"
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, fallback),
                "param": self.param,
                "code": self.code,
            }
        }

    def to_anthropic(self) -> dict[str, Any]:
        """The body of the response in Anthropic's form.

        Example:
            >>> ApiError(404, "No such model.").to_anthropic()["error"]["type"]
            'not_found_error'
        """
        fallback = "invalid_request_error" if self.status < 500 else "api_error"
        kind = _ANTHROPIC_TYPES.get(self.status, fallback)
        return {"type": "error", "error": {"type": kind, "message": self.message}}
