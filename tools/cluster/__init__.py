"""A one-node Kubernetes on this machine, for contributors and CI: real components, no container registry.

Everything that runs lives in namespaces of its own (processes, mounts, network), whose first process is `node.py`: when
that one ends, however it ends, the kernel takes all the rest with it. `make cluster` and `make cluster-down` call it.
"""
