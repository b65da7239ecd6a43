"""One entry of `http[].match[]`.

Pure. In: the match, its path. Out: complaints.
"""

from __future__ import annotations

from graylane.chain.validation import checks
from graylane.chain.validation.checks import Block, Report, block, gateway_names, is_label, labels, string_match

_CLAIM = "@request.auth.claims"


def http_match(report: Report, path: str, match: Block, *, at_gateway: bool) -> None:
    if match.get("uri") is not None:
        string_match(report, f"{path}.uri", match["uri"], empty_prefix=True)
    for field in ("scheme", "method", "authority"):
        if match.get(field) is not None:
            string_match(report, f"{path}.{field}", match[field])
    for field in ("headers", "withoutHeaders"):
        for name, value in block(match.get(field)).items():
            if str(name).startswith(_CLAIM):
                if not at_gateway:
                    report.error(f"{path}.{field}", "JWT claim based routing without gateway is not supported")
            else:
                checks.header_name(report, f"{path}.{field}", str(name))
            if field == "headers" or block(value).get("regex") != "*":  # which is an old way to ask for presence
                string_match(report, f"{path}.{field}[{name}]", value)
    for name, value in block(match.get("queryParams")).items():
        string_match(report, f"{path}.queryParams[{name}]", value)
    if match.get("port"):
        checks.port(report, f"{path}.port", match["port"])
    labels(report, f"{path}.sourceLabels", match.get("sourceLabels"))
    if match.get("sourceNamespace") and not is_label(str(match["sourceNamespace"])):
        report.error(f"{path}.sourceNamespace", f"sourceNamespace match {match['sourceNamespace']!r} is invalid")
    gateway_names(report, f"{path}.gateways", match.get("gateways"))
