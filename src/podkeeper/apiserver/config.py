"""What an API server is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from podkeeper.apiserver.audit.options import AuditOptions
from podkeeper.apiserver.authentication.flags import AuthenticationOptions
from podkeeper.apiserver.limits import RequestLimits


class ApiServerConfig(Struct, frozen=True):
    """Paths of keys and certificates (PEM), addresses, and names.

    ``advertise_address`` is what other machines and the service default/kubernetes reach. ``admin_token_file`` is made
    when missing. ``api_audiences`` defaults to the issuer.
    """

    certificate: Path
    key: Path
    client_ca: Path
    service_account_key: Path
    admin_token_file: Path
    kubelet_client_certificate: Path
    kubelet_client_key: Path
    advertise_address: str = "127.0.0.1"
    issuer: str = "https://kubernetes.default.svc.cluster.local"
    api_audiences: tuple[str, ...] = ()
    kubernetes_service_ip: str = "10.96.0.1"
    service_cidr: str = "10.96.0.0/12"
    #: CA that kubelets' serving certificates are checked against; None accepts any, as upstream's default does.
    kubelet_ca: Path | None = None
    #: A file with an AuthorizationConfiguration; without one the node authorizer and RBAC are asked.
    authorization: Path | None = None
    authentication: AuthenticationOptions = field(default_factory=lambda: AuthenticationOptions())
    admission: AdmissionConfig = field(default_factory=lambda: AdmissionConfig())
    limits: RequestLimits = field(default_factory=RequestLimits)
    audit: AuditOptions = field(default_factory=AuditOptions)

    @property
    def audiences(self) -> tuple[str, ...]:
        """Audiences whose tokens this server takes."""
        return self.api_audiences or self.authentication.api_audiences or self.issuers

    @property
    def issuers(self) -> tuple[str, ...]:
        """Whose service-account tokens this server takes; the first one's it makes."""
        return self.authentication.accounts.issuers or (self.issuer,)


class AdmissionConfig(Struct, frozen=True):
    """Choices of the admission plugins. Seconds for DefaultTolerationSeconds; names of plugins that are off."""

    not_ready_toleration: int = 300
    unreachable_toleration: int = 300
    disabled: frozenset[str] = frozenset({"PodNodeSelector"})
    pod_security: PodSecurityConfig = field(default_factory=lambda: PodSecurityConfig())
    #: PodNodeSelector's selectors by namespace, and under ``clusterDefaultNodeSelector`` that of all others.
    node_selectors: Mapping[str, str] = field(default_factory=dict)


class PodSecurityConfig(Struct, frozen=True):
    """What PodSecurity does where labels say nothing, each a level and a version, and what it does not look at."""

    enforce: tuple[str, str] = ("privileged", "latest")
    audit: tuple[str, str] = ("privileged", "latest")
    warn: tuple[str, str] = ("privileged", "latest")
    exempt_users: frozenset[str] = frozenset()
    exempt_namespaces: frozenset[str] = frozenset()
    exempt_runtime_classes: frozenset[str] = frozenset()
