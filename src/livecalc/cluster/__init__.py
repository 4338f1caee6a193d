"""The cluster: where namespaces, pods and jobs live. `port` says what the platform needs; each folder is an adapter."""
