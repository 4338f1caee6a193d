"""A Kubernetes cluster behind its API server.

The vendor's library is the authenticated transport and nothing else; no object of it leaves this package.
"""

from livecalc.cluster.kubernetes.cluster import KubernetesCluster, open_kubernetes
from livecalc.cluster.kubernetes.connect import Access
from livecalc.cluster.kubernetes.settings import CellSettings, PodSettings, Toleration

__all__ = ["Access", "CellSettings", "KubernetesCluster", "PodSettings", "Toleration", "open_kubernetes"]
