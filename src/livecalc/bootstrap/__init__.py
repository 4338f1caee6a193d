"""The only importer of adapters: `service` builds the platform, `worker` the process inside a pod."""
