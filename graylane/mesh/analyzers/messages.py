"""One sentence for each code, as Istio words and weighs it.

Pure. In: what the sentence is about. Out: a `Finding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graylane.mesh.findings import Finding


def same_host(services: Iterable[str], host: str) -> Finding:
    text = (
        f"The VirtualServices {','.join(services)} associated with mesh gateway define the same host {host} which can "
        "lead to undefined behavior. This can be fixed by merging the conflicting VirtualServices into a single "
        "resource."
    )
    return Finding("IST0109", "ERROR", text)


def sidecars_of_pod(sidecars: Iterable[str], namespace: str, pod: str) -> Finding:
    names = " ".join(sidecars)
    text = f"The Sidecars [{names}] in namespace {namespace!r} select the same workload pod {pod!r}"
    return Finding("IST0110", "ERROR", f"{text}, which can lead to undefined behavior.")


def sidecars_of_all(sidecars: Iterable[str], namespace: str) -> Finding:
    text = f"The Sidecars [{' '.join(sidecars)}] in namespace {namespace!r} have no workload selector"
    return Finding("IST0111", "ERROR", f"{text}, which can lead to undefined behavior.")


def port_needed(host: str, ports: Iterable[int]) -> Finding:
    text = f"This VirtualService routes to a service {host!r} that exposes multiple ports {sorted(ports)}. "
    return Finding("IST0112", "ERROR", text + "Specifying a port in the destination is required to disambiguate.")


def several_protocols(deployment: str, port: int, services: Iterable[str]) -> Finding:
    text = f"This deployment {deployment} is associated with multiple services using port {port} "
    return Finding("IST0116", "WARNING", f"{text}but different protocols: [{' '.join(sorted(services))}]")


def several_ports(deployment: str, services: Iterable[str], target: str, ports: Iterable[int]) -> Finding:
    text = f"This deployment {deployment} is associated with multiple services [{' '.join(services)}] "
    return Finding("IST0137", "WARNING", f"{text}using targetPort {target!r} but different ports: {sorted(ports)}.")


def port_name(name: str, port: int, target: int | str) -> Finding:
    text = f"Port name {name} (port: {port}, targetPort: {target}) doesn't follow the naming convention of Istio port."
    return Finding("IST0118", "INFO", text)


def unreachable_rule(rule: str, why: str) -> Finding:
    return Finding("IST0130", "WARNING", f"VirtualService rule {rule} not used ({why}).")


def useless_match(rule: str, match: str, why: str) -> Finding:
    return Finding("IST0131", "INFO", f"VirtualService rule {rule} match {match} is not used ({why}).")


def not_in_gateway(hosts: Iterable[str], service: str, gateway: str) -> Finding:
    text = f"one or more host [{' '.join(hosts)}] defined in VirtualService {service} not found in Gateway {gateway}"
    return Finding("IST0132", "WARNING", text)


def subset_not_at_gateway(split: str, service: str) -> Finding:
    text = f"Subset in virtual service {split} has no effect on ingress gateway {service} requests"
    return Finding("IST0140", "WARNING", text)


def same_port(gateways: Iterable[str], selector: Mapping[str, str], port: int, hosts: Iterable[str]) -> Finding:
    chosen = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
    text = f"Conflict with gateways {','.join(gateways)} (workload selector {chosen}, port {port}, "
    return Finding("IST0145", "ERROR", f"{text}hosts {','.join(hosts)}).")


def relative(*, version: bool) -> Finding:
    told = "and has a proxyVersion set " if version else ""
    text = (
        f"This EnvoyFilter does not have a priority {told}and has a relative patch operation set which can cause the "
        "EnvoyFilter not to be applied. Using the INSERT_FIRST or ADD option or setting the priority may help in "
        "ensuring the EnvoyFilter is applied correctly."
    )
    return Finding("IST0155" if version else "IST0151", "WARNING", text)


def misplaced(operation: str) -> Finding:
    if operation == "REPLACE":
        return Finding("IST0152", "ERROR", "The REPLACE operation is only valid for HTTP_FILTER and NETWORK_FILTER.")
    code = "IST0153" if operation == "ADD" else "IST0154"
    text = f"The {operation} operation will be ignored when applyTo is set to ROUTE_CONFIGURATION, or HTTP_ROUTE."
    return Finding(code, "ERROR", text)


def port_not_on_service(port: int, selector: Mapping[str, str]) -> Finding:
    chosen = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
    text = (
        f"The gateway is listening on a target port (port {port}) that is not defined in the Service associated with "
    )
    return Finding("IST0162", "WARNING", f"{text}its workload instances (Pod selector {chosen})")


def port_not_called(host: str, called: int, target: str, ports: Iterable[int]) -> Finding:
    text = f"Pods that call {host} on port {called} are sent to port {called} of {target}, which has none: 503. "
    return Finding("GRL0005", "WARNING", f"{text}Name one of {sorted(ports)} in the destination.")
