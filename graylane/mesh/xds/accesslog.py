"""Envoy's access log as it arrives: the gRPC service that takes it.

Shell. In: streams of log entries, batched by Envoy. Out: the entries of HTTP requests, handed on as they come.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from envoy.service.accesslog.v3 import als_pb2, als_pb2_grpc

_LOG = logging.getLogger(__name__)
Take = Callable[[Iterable[Any]], None]
"""Takes some `HTTPAccessLogEntry`s, in the order in which the requests ended."""


class AccessLog(als_pb2_grpc.AccessLogServiceServicer):  # type: ignore[misc]
    """Without `take` everything is accepted and forgotten."""

    def __init__(self, take: Take | None) -> None:
        self._take = take

    async def StreamAccessLogs(self, messages: AsyncIterator[Any], context: Any) -> Any:
        async for message in messages:
            try:
                if self._take is not None:
                    self._take(message.http_logs.log_entry)
            except Exception:
                # An entry that we cannot read must not end the stream that others come on.
                _LOG.exception("some access log entries were not taken")
        return als_pb2.StreamAccessLogsResponse()
