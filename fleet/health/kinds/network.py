"""Rows for gateways, meshes, certificates, secrets and identities."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.health.kinds import gatewayapi
from fleet.health.kinds.entry import READY, Entry
from fleet.health.kinds.externalsecrets import cluster_external_secret

# Old controllers write their states as numbers.
_GLOO = (
    "Degraded .status.statuses{}.state=Rejected|2|Warning|3; "
    "Suspended .status.statuses{}.state=Pending|0; Healthy .status.statuses{}.state=Accepted|1; "
    "Degraded .status.state=Rejected|2|Warning|3; Suspended .status.state=Pending|0; "
    "Healthy .status.state=Accepted|1; Progressing"
)
_CONTOUR = "Progressing stale; Healthy Valid; "
_SAP = "Progressing stale; Degraded Succeeded=False; Degraded Failed; Healthy .status.conditions; Progressing"

ROWS: Mapping[str, Mapping[str, Entry]] = {
    "gateway.networking.k8s.io": {
        "BackendTLSPolicy": gatewayapi.policy,
        "GRPCRoute HTTPRoute TCPRoute TLSRoute UDPRoute": gatewayapi.route,
        "Gateway": gatewayapi.gateway,
        "GatewayClass": "Progressing stale; Degraded Accepted=False; Healthy Accepted",
        "ReferenceGrant": None,
    },
    "gateway.networking.x-k8s.io": {
        "XBackendTrafficPolicy": gatewayapi.policy,
        "XListenerSet": gatewayapi.gateway,
    },
    "gateway.envoyproxy.io": {
        "*Policy": gatewayapi.policy,
        "Backend": "Degraded Accepted=False; Healthy Accepted",
        "EnvoyProxy HTTPRouteFilter": None,
    },
    "microgateway.airlock.com": {"*": gatewayapi.airlock_policy},
    "gateway.solo.io": {"*": _GLOO},
    "gloo.solo.io": {"*": _GLOO},
    "enterprise.gloo.solo.io": {"*": _GLOO},
    "projectcontour.io": {
        "ExtensionService": _CONTOUR + "Degraded Valid=False",
        # One with inclusions and those it includes wait for each other: it must not stop them.
        "HTTPProxy": _CONTOUR + "Healthy .spec.includes *=False; Degraded Valid=False",
        "ContourConfiguration": "Degraded Valid=False; Healthy Valid",
        "TLSCertificateDelegation": None,
    },
    "route.openshift.io": {"Route": gatewayapi.openshift_route},
    "networking.gke.io": {
        "ManagedCertificate": (
            "Degraded .status.domainStatus[].status=FailedNotVisible; "
            "Healthy .status.certificateStatus=Active"
        ),
    },
    "install.istio.io": {
        "IstioOperator": (
            "Unknown .status.status=NONE|0; Healthy .status.status=HEALTHY|3; "
            "Degraded .status.status=ERROR|4; Progressing"
        ),
    },
    "sailoperator.io": {
        "*": "Progressing unseen; Degraded Reconciled=False; "
        "Progressing Ready=False:*NotReady; Degraded Ready=False; Healthy Ready",
    },
    # Configuration of the mesh: what is written into their status is advice.
    "networking.istio.io": {"*": None},
    "security.istio.io": {"*": None},
    "telemetry.istio.io": {"*": None},
    "extensions.istio.io": {"*": None},
    "linkerd.io": {"*": None},
    "policy.linkerd.io": {"HTTPRoute": gatewayapi.route, "*": None},
    "kiali.io": {
        "Kiali": "Degraded Failure; Progressing Running:Running; Healthy Successful",
    },
    "traefik.io": {"*": None},
    "configuration.konghq.com": {
        "*": "Progressing stale; Degraded Programmed=False:!Pending; Healthy Programmed",
    },
    "metallb.io": {"*": None},
    "cilium.io": {
        "CiliumNetworkPolicy CiliumClusterwideNetworkPolicy": "Degraded Valid=False; Healthy",
    },
    "crd.projectcalico.org": {"*": None},
    "operator.tigera.io": {
        "*": "Degraded Degraded; Progressing Progressing; Healthy Available; Healthy Ready",
    },
    "externaldns.k8s.io": {"DNSEndpoint": None},
    "proclaim.dogmatiq.io": {
        "DNSSDServiceInstance": (
            "Degraded Adopted=False; Degraded Advertised:AdvertiseError|UnadvertiseError; "
            "Unknown Discoverable:DiscoveryError; Healthy Discoverable"
        ),
    },
    "nmstate.io": {
        "NodeNetworkConfigurationPolicy": (
            "Degraded Degraded; Progressing Progressing; Healthy Available; Suspended Ignored"
        ),
    },
    "cert-manager.io": {
        "Certificate": "Progressing Issuing; " + READY,
        "CertificateRequest": (
            "Degraded Denied; Degraded InvalidRequest; Degraded Ready=False:Failed|Denied; Healthy Ready"
        ),
        "ClusterIssuer Issuer": READY,
    },
    "acme.cert-manager.io": {
        "Challenge Order": (
            "Healthy .status.state=valid; Degraded .status.state=invalid|expired|errored"
        ),
    },
    "certmanager.k8s.io": {"Certificate ClusterIssuer Issuer": READY},
    "trust.cert-manager.io": {"Bundle": "Degraded Synced=False; Healthy Synced"},
    "bitnami.com": {"SealedSecret": "Degraded Synced=False; Healthy Synced"},
    "external-secrets.io": {
        "ClusterExternalSecret": cluster_external_secret,
        "ClusterPushSecret ClusterSecretStore ExternalSecret PushSecret SecretStore": READY,
    },
    "generators.external-secrets.io": {"*": None},
    "kubernetes-client.io": {
        "ExternalSecret": "Healthy .status.status=SUCCESS; Degraded .status.status=ERROR*",
    },
    "onepassword.com": {"OnePasswordItem": READY},
    "secrets.hashicorp.com": {
        "*": (
            "Progressing .status.lastGeneration<.metadata.generation .status.lastGeneration; "
            "Degraded Ready=False; Degraded Healthy=False; Degraded .status.valid=false; "
            "Healthy Ready; Healthy Healthy; Healthy .status.valid=true; Healthy .status.secretMAC"
        ),
    },
    "secrets-store.csi.x-k8s.io": {"*": None},
    "iammanager.keikoproj.io": {
        "Iamrole": (
            "Healthy .status.state=Ready; "
            "Degraded .status.state=Error|RolesMaxLimitReached|PolicyNotAllowed|RoleNameNotAvailable"
        ),
    },
    "k8s.keycloak.org": {
        "Keycloak": "Degraded HasErrors; Healthy Ready",
        "KeycloakRealmImport": "Degraded HasErrors; Healthy Done",
    },
    "services.cloud.sap.com": {"*": _SAP},
    "kyverno.io": {
        "Policy": "Healthy Ready=True:Succeeded",
        "ClusterPolicy": "Degraded Ready=False:Failed; Healthy Ready; Healthy .status.ready",
        "GlobalContextEntry": "Degraded Ready=False; Healthy Ready",
        "PolicyException UpdateRequest": None,
    },
    "wgpolicyk8s.io": {"*": None},
    "templates.gatekeeper.sh": {
        "ConstraintTemplate": "Degraded .status.byPod[].errors; Healthy .status.created",
    },
}  # fmt: skip
